# SPDX-License-Identifier: Apache-2.0
"""https in a real cluster: the provider's certificate, and one that comes sealed in the bundle."""

import ssl
import time
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.clients import protocols, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.market.provider_files import keys_folder
from trustedpods.provider.facade.certificates import Authority, certificate_pem, utc

pytestmark = pytest.mark.live


def trusting(root: bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=root.decode())


def test_https_by_name_with_the_providers_and_the_pods_own_certificate(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    root = Authority.make("publisher", utc(time.time()))
    own = f"{unique('own')}.localhost"
    made = root.issue([own], ec.generate_private_key(ec.SECP256R1()), utc(time.time()))
    chain, mark, key = made.pem.partition(b"-----BEGIN PRIVATE")
    (publisher.folder / "tls.crt").write_bytes(chain)
    (publisher.folder / "tls.key").write_bytes(mark + key)

    def with_tls(spec: Json) -> None:
        files = {"tls.crt": "tls.crt", "tls.key": "tls.key"}
        spec["volumes"] = [{"name": "certificate", "secret": {"files": files}}]
        spec["services"][0] |= {
            "hosts": [own],
            "tls": {"secretName": "certificate"},
            "httpsOnly": True,
        }

    deployed = publisher.deploy(publisher.manifest("echo", unique("tls"), with_tls))
    port = market.cluster().ports.https
    urls = [end["url"] for end in deployed.result["endpoints"]]
    assert f"https://{own}:{port}/" in urls
    provider = (keys_folder(market.settings, market.cluster()) / "ca.crt").read_bytes()
    host = next(urlsplit(one).hostname for one in urls if one.startswith("https://p"))
    assert host is not None
    assert protocols.tls_get(port, host, trusting(provider))[0] == 200
    mine = trusting(certificate_pem(root.certificate))
    assert protocols.tls_get(port, own, mine)[0] == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        protocols.tls_get(port, host, mine)
    assert web.get(f"http://{own}:{market.cluster().ports.http}/").status == 308
    rpc = next(one for one in urls if one.startswith("https://rpc-"))
    with protocols.channel(rpc, provider) as channel:
        assert protocols.call(channel, b"hello") == b"hello"
