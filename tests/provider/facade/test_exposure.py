# SPDX-License-Identifier: Apache-2.0
"""From a manifest's services to slots, routes and limits."""

import pytest
import yaml

from tests.fakes.provider.pods import a_manifest
from tests.paths import EXAMPLES
from trustedpods.manifests.check import problems
from trustedpods.manifests.model import PodManifest
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator.h2_page import PREFACE, greeting, h2_response, has_request
from trustedpods.provider.facade.exposure import by_pod, exposures, key_of, pod_of
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import SlotLimits

MOST = SlotLimits(connections=200, rate=400, body_bytes=10 << 20)
SECRET = {"name": "mine", "secret": {"files": {"tls.crt": "a", "tls.key": "b"}}}


def service(name: str, port: int = 8080, **fields: object) -> dict[str, object]:
    app = fields.pop("app", None)
    ports = [{"port": port, **({"appProtocol": app} if app else {})}]
    return {"name": name, "expose": "http", "ports": ports, **fields}


def test_the_example_has_four_ways_in():
    manifest = PodManifest.model_validate(yaml.safe_load((EXAMPLES / "echo.yaml").read_text()))
    found = {part.service: part for part in exposures(manifest, "pabc", "k1.x", MOST)}
    assert {name: part.protocol for name, part in found.items()} == {
        "web": SlotProtocol.HTTP,
        "api": SlotProtocol.HTTP,
        "rpc": SlotProtocol.H2,
        "raw": SlotProtocol.TCP,
    }
    assert {name: part.routes for name, part in found.items()} == {
        "web": ("pabc.k1.x",),
        "api": ("pabc.k1.x/api",),
        "rpc": ("rpc-pabc.k1.x",),
        "raw": (),
    }
    assert found["api"].limits == SlotLimits(
        connections=100, rate=400, body_bytes=1 << 20, stream_bytes=1 << 20
    )
    assert found["web"].limits == MOST, "the provider's maxima hold where the manifest says nothing"
    assert (found["raw"].port, found["raw"].label) == (7000, "pabc.raw")
    assert pod_of(key_of("pabc", "raw")) == "pabc"
    assert by_pod({"pabc.raw": 3, "pabd.web": 4, "pabc.web": 5}) == {
        "pabc": {"pabc.raw": 3, "pabc.web": 5},
        "pabd": {"pabd.web": 4},
    }


def test_own_hosts_come_with_each_path_and_with_their_certificate():
    manifest = a_manifest(
        volumes=[SECRET],
        services=[
            service("web", hosts=["www.own.org"], paths=["/a", "/b/c"], tls={"secretName": "mine"}),
            service("rest", hosts=["own.org"], httpsOnly=True),
        ],
    )
    assert list(problems(manifest)) == []
    web, rest = exposures(manifest, "pabc", "k1.x", MOST)
    assert web.routes == ("pabc.k1.x/a", "pabc.k1.x/b/c", "www.own.org/a", "www.own.org/b/c")
    assert (web.own_hosts, web.tls_secret) == (("www.own.org",), "mine")
    assert rest.routes == ("pabc.k1.x", "own.org")
    assert (rest.https_only, rest.tls_secret) == (True, None)


@pytest.mark.parametrize(
    ("services", "text"),
    [
        ([service("a", paths=["/x"]), service("b", paths=["/x"])], "leads to two services"),
        ([service("a", hosts=["own.org"], tls={"secretName": "none"})], "no secret volume"),
        ([service("a", tls={"secretName": "mine"})], "list them in `hosts`"),
        ([{**service("a"), "expose": "none"}], "nothing else wakes it"),
    ],
)
def test_what_leads_nowhere_is_said_before_money_moves(services, text):
    found = [problem.text for problem in problems(a_manifest(volumes=[SECRET], services=services))]
    assert any(text in one for one in found), found


@pytest.mark.parametrize(
    "fields",
    [
        {"expose": "tcp", "hosts": ["own.org"]},
        {"expose": "tcp", "paths": ["/x"]},
        {"expose": "tcp", "app": "kubernetes.io/h2c"},
        {"expose": "tcp", "httpsOnly": True},
        {"paths": ["/a/../b"]},
        {"paths": ["/a/"]},
        {"limits": {"requestsPerSecond": 0}},
        {"expose": "ingress"},
    ],
)
def test_what_does_not_go_together_is_refused(fields):
    with pytest.raises(ValueError, match="validation error"):
        a_manifest(services=[service("a", **fields)])


def test_the_page_in_http2_is_four_small_frames():
    page = pages.cannot_wake(60)
    data = greeting() + h2_response(page)
    kinds = []
    while data:
        size = int.from_bytes(data[:3], "big")
        kinds.append((data[3], data[4], int.from_bytes(data[5:9], "big")))
        payload, data = data[9 : 9 + size], data[9 + size :]
    assert kinds == [(4, 0, 0), (4, 1, 0), (1, 4, 1), (0, 1, 1)]
    assert payload == page.body


@pytest.mark.parametrize(
    ("data", "enough"),
    [
        (b"", False),
        (PREFACE[:10], False),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0", False),
        (PREFACE + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\1\1\5\0\0\0\1x", True),
        (b"GET / HTTP/1.1\r\n\r\n" + b" " * 20, True),
        (PREFACE + b"\xff\xff\xff\0" + b"\0" * 70_000, True),
    ],
)
def test_a_request_is_seen_when_its_headers_begin(data, enough):
    assert has_request(data) is enough
