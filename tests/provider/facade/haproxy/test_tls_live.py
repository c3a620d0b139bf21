# SPDX-License-Identifier: Apache-2.0
"""TLS by SNI on real HAProxy: the provider's certificate, publishers' own, changed while it runs."""

import ssl
import time
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.live.clients import protocols
from tests.provider.facade.echo import EchoPod
from tests.provider.facade.parts import LiveFacade, get, live_facade
from trustedpods.protocol.errors import Refused
from trustedpods.provider.facade.certificates import (
    Authority,
    Certificate,
    certificate_of,
    certificate_pem,
    key_pem,
    provider_names,
    utc,
)
from trustedpods.provider.facade.haproxy.tls import PROVIDER
from trustedpods.provider.facade.pools import SlotProtocol

pytestmark = pytest.mark.live

DOMAIN = "k1.test.localhost"
HOST = f"pabc.{DOMAIN}"
OWN = "www.own.localhost"


@pytest.fixture
async def live(tmp_path: Path):
    async with live_facade(tmp_path, tls=True) as facade:
        yield facade


@pytest.fixture
def root() -> Authority:
    return Authority.make("test", utc(time.time()))


def issued(root: Authority, *names: str) -> Certificate:
    return root.issue(names, ec.generate_private_key(ec.SECP256R1()), utc(time.time()))


def own(root: Authority, *names: str, serves: str = OWN) -> Certificate:
    """A publisher's secret, as it comes in a bundle."""
    chain, mark, key = issued(root, *names).pem.partition(b"-----BEGIN PRIVATE")
    return certificate_of(chain, mark + key, [serves], utc(time.time()))


async def seen(live: LiveFacade, root: Authority, host: str, path: str = "/") -> tuple[int, bytes]:
    context = ssl.create_default_context(cadata=certificate_pem(root.certificate).decode())
    port = live.config.tls_binds[0].port
    return await trio.to_thread.run_sync(protocols.tls_get, port, host, context, path)


async def test_certificates_come_by_name_and_change_while_it_runs(live: LiveFacade, root, tmp_path, nursery):
    pod = EchoPod(tmp_path)
    await pod.start()
    try:
        web = (await live.facade.publish("p.web", [HOST, OWN])).slot
        await live.facade.set_pods(web, [pod.web])
        await live.facade.certify(PROVIDER, issued(root, *provider_names(DOMAIN)))
        first = await seen(live, root, HOST)
        assert first[0] == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await seen(live, root, OWN)
        await live.facade.certify("p.web", own(root, OWN, HOST))
        mine = await seen(live, root, OWN)
        assert mine[0] == 200
        assert await seen(live, root, HOST) == first, "a publisher's certificate serves its own hosts only"
        await live.facade.certify("p.web", own(root, OWN))
        assert await seen(live, root, OWN) != mine, "renewed without a reload"
        boot = (await live.facade.sync()).boot
        kept = await seen(live, root, OWN)
        await live.haproxy.end(9)
        await live.start_haproxy()
        assert (await live.facade.sync()).boot != boot
        assert await seen(live, root, OWN) == kept, "a restart finds them in memory"
        assert [path.stat().st_mode & 0o77 for path in (tmp_path / "tls").iterdir()] == [0] * 3
        await live.facade.withdraw(web)
        assert not (tmp_path / "tls" / "p.web.pem").exists(), "its key goes with the service"
        assert "p.web" not in await live.runtime.command("show ssl cert")
    finally:
        await pod.process.end()


async def test_what_haproxy_does_not_take_keeps_it_from_nothing(live: LiveFacade, root, tmp_path):
    """A key that OpenSSL finds too small: refused, shown no more than before, and no start fails for it."""
    weak = rsa.generate_private_key(65537, 1024)
    bad = Certificate(root.issue([OWN], weak, utc(time.time())).pem, (OWN,))
    await live.facade.certify(PROVIDER, issued(root, *provider_names(DOMAIN)))
    await live.facade.certify("p.web", own(root, OWN))
    before = {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()}
    for key in ("p.new", "p.web"):
        with pytest.raises(Refused):
            await live.facade.certify(key, bad)
        assert {path.name: path.read_bytes() for path in (tmp_path / "tls").iterdir()} == before
    await live.haproxy.end(9)
    await live.start_haproxy()
    await live.facade.certify("p.web", own(root, OWN, HOST))
    await live.facade.certify("p.new", own(root, HOST, serves=HOST))
    assert {"p.web.pem", "p.new.pem"} <= {path.name for path in (tmp_path / "tls").iterdir()}


async def test_grpc_over_tls_and_https_only(live: LiveFacade, root, tmp_path):
    pod = EchoPod(tmp_path)
    await pod.start()
    try:
        await live.facade.certify(PROVIDER, issued(root, *provider_names(DOMAIN)))
        slot = (await live.facade.publish("p.rpc", [HOST], SlotProtocol.H2, https_only=True)).slot
        await live.facade.set_pods(slot, [pod.web])

        def call() -> bytes:
            url = f"https://{HOST}:{live.config.tls_binds[0].port}"
            with protocols.channel(url, certificate_pem(root.certificate)) as channel:
                return protocols.call(channel, b"hello")

        assert await trio.to_thread.run_sync(call) == b"hello"
        plain = await get(live.port, HOST, "/a?b=c")
        assert plain.status == 308
        assert f"location: https://{HOST}/a?b=c\r\n" in plain.head + "\r\n"
    finally:
        await pod.process.end()


def test_a_key_is_written_as_pem_only() -> None:
    assert key_pem(ec.generate_private_key(ec.SECP256R1())).startswith(b"-----BEGIN PRIVATE KEY-----")
