# SPDX-License-Identifier: Apache-2.0
"""The public page through a real HAProxy in a real Chromium: whole, alone, and nobody is asked for it."""

import base64
import json

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.provider.facade.parts import Pod, live_facade
from tests.provider.public.profiles import profile
from tests.publisher.page.chromium import open_tab
from tests.publisher.page.looks import check
from trustedpods.contracts.records import TokenInfo
from trustedpods.protocol.codec import encode
from trustedpods.protocol.messages.capabilities import StorageClass
from trustedpods.protocol.sealing.replies import sign_figures
from trustedpods.provider.public.figures import ServiceSums, figures_of
from trustedpods.provider.public.page import page_html, page_json

pytestmark = [pytest.mark.live]

DOMAIN = "k1.localhost"
"""A browser takes it for this machine without asking a resolver."""

KEY = Ed25519PrivateKey.from_private_bytes(b"\x05" * 32)
MOST_BYTES = 300_000


def pages(up_s=86_000):
    """As large as they become: as many capabilities as are told, each as long as it may be."""
    names = [f"driver-{number}.{'a' * 53}" for number in range(16)]
    classes = [StorageClass(name="b" * 63, grows=True, access_modes=[])] * 16
    has = profile().capabilities.model_copy(update={"csi_drivers": names, "storage_classes": classes})
    sums = ServiceSums(86_400, up_s, 10, 9000, (0, 0, 5, 5, 5, 5, 9, 10, 10, 10, 10, 10, 10, 10, 10))
    of = figures_of(encode(profile(domain=DOMAIN, capabilities=has)), sums, 1_790_000_000, tcp=True)
    told = page_json(of, sign_figures(KEY, of), KEY.public_key().public_bytes_raw())
    return page_html(of, TokenInfo("TEST", 6)), told


async def shown(facade, page, told):
    coded = {"/": page, "/provider.json": told}
    await facade.show_public({DOMAIN + path: base64.b64encode(one).decode() for path, one in coded.items()})


async def asked(client, path, host=DOMAIN, method="GET"):
    return await client.request(method, path, headers={"Host": host})


async def test_it_is_shown_at_the_domain_and_nowhere_else_and_looks_well(tmp_path, nursery):
    page, told = pages()
    async with live_facade(tmp_path) as live:
        base = f"http://127.0.0.1:{live.port}"
        async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
            assert (await asked(client, "/")).status_code == 404
            await shown(live.facade, page, told)
            found = await asked(client, "/")
            assert (found.status_code, found.content) == (200, page)
            assert "default-src 'none'" in found.headers["content-security-policy"]
            assert json.loads((await asked(client, "/provider.json")).content) == json.loads(told)
            assert (await asked(client, "/", method="HEAD")).headers["content-length"] == str(len(page))
            for path, host, method in (
                ("/other", DOMAIN, "GET"), ("/", f"pod.{DOMAIN}", "GET"), ("/", DOMAIN, "POST"),
            ):  # fmt: skip
                assert (await asked(client, path, host, method)).status_code == 404, (path, host, method)
            newer, _ = pages(up_s=80_000)
            await shown(live.facade, newer, told)
            assert (await asked(client, "/")).content == newer != page
            pod = Pod("pod-a")
            await nursery.start(pod.run)
            slot = (await live.facade.publish("a", [DOMAIN])).slot  # a pod's host is the pod's
            await live.facade.set_pods(slot, [pod.address])
            assert (await asked(client, "/")).content == b"pod-a"
            await live.facade.withdraw(slot)
            assert (await asked(client, "/")).content == newer
        async with open_tab() as tab:
            await tab.open(f"http://{DOMAIN}:{live.port}/")
            assert DOMAIN in await tab.run("document.title")
            await check(tab, "public")
            assert tab.broken == []
            own = (f"http://{DOMAIN}:{live.port}/", "data:", "about:")
            assert {url for url in tab.requests if not url.startswith(own)} == set()
    assert len(newer) <= MOST_BYTES
