# SPDX-License-Identifier: Apache-2.0
"""What each service of a manifest is exposed by, and where it is reached."""

from itertools import product
from typing import get_args

import pytest
import yaml

from tests.fakes.provider.pods import a_manifest
from tests.paths import EXAMPLES
from trustedpods.manifests.check.pod import problems
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import Service
from trustedpods.provider.core.pod import NodePort, ServiceExposure
from trustedpods.provider.exposure import node_port, udp
from trustedpods.provider.exposure.exposure import FacadeExposure, NodeExposure, Site
from trustedpods.provider.exposure.http import HttpExposure
from trustedpods.provider.exposure.ingress import IngressExposure
from trustedpods.provider.exposure.load_balancer import BalancedExposure
from trustedpods.provider.exposure.none import NoExposure
from trustedpods.provider.exposure.plan import STRATEGIES, plan, through_facade, under_hosts
from trustedpods.provider.exposure.service_keys import by_pod, key_of, pod_of, service_of
from trustedpods.provider.exposure.tcp import TcpExposure

PLAIN = Site("pabc.k1.x", ":8080", None)
WITH_TLS = Site("pabc.k1.x", "", ":8443", "192.0.2.1")
SECRET = {"name": "mine", "secret": {"files": {"tls.crt": "a", "tls.key": "b"}}}


def service(name: str, port: int = 8080, **fields: object) -> dict[str, object]:
    app = fields.pop("app", None)
    if fields.get("expose") == "ingress":
        fields = {"hosts": [f"{name}.own.org"], "ingress": {"className": "traefik"}} | fields
    protocol = "UDP" if fields.get("expose") == "udp" else "TCP"
    ports = [{"port": port, "protocol": protocol, **({"appProtocol": app} if app else {})}]
    return {"name": name, "expose": "http", "ports": ports, **fields}


def test_the_example_has_four_ways_in():
    manifest = PodManifest.model_validate(yaml.safe_load((EXAMPLES / "echo.yaml").read_text()))
    found = {part.service: part for part in through_facade(plan(manifest, "pabc", "k1.x"))}
    assert {name: part.protocol for name, part in found.items()} == {
        "web": "http",
        "api": "http",
        "rpc": "h2",
        "raw": "tcp",
    }
    assert {name: part.routes for name, part in found.items()} == {
        "web": ("pabc.k1.x",),
        "api": ("pabc.k1.x/api",),
        "rpc": ("rpc-pabc.k1.x",),
        "raw": (),
    }
    assert found["api"].limits == manifest.spec.services[1].limits
    assert (found["raw"].port, found["raw"].label) == (7000, "pabc.raw")
    assert (pod_of("pabc.raw"), service_of(key_of("pabc", "raw"))) == ("pabc", "raw")
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
    web, rest = through_facade(plan(manifest, "pabc", "k1.x"))
    assert web.routes == ("pabc.k1.x/a", "pabc.k1.x/b/c", "www.own.org/a", "www.own.org/b/c")
    assert (web.own_hosts, web.tls_secret) == (("www.own.org",), "mine")
    assert rest.routes == ("pabc.k1.x", "own.org")
    assert (rest.https_only, rest.tls_secret) == (True, None)


WORDS = {
    "none": (NoExposure, ServiceExposure("none"), [], [], False),
    "http": (
        HttpExposure,
        ServiceExposure("http"),
        ["http://pabc.k1.x:8080/"],
        ["http://pabc.k1.x/", "https://pabc.k1.x:8443/"],
        True,
    ),
    "tcp": (
        TcpExposure,
        ServiceExposure("tcp", 20007),
        ["tcp://pabc.k1.x:20007"],
        ["tcp://pabc.k1.x:20007"],
        True,
    ),
    "udp": (
        NodeExposure,
        ServiceExposure("udp", None, "10.9.0.1", (NodePort("UDP", 8080, 30_001),)),
        ["udp://pabc.k1.x:30001"],
        ["udp://192.0.2.1:30001"],
        False,
    ),
    "loadBalancer": (
        BalancedExposure,
        ServiceExposure("loadBalancer", None, "10.9.0.1", (), ("192.0.2.9",)),
        ["tcp://192.0.2.9:8080"],
        ["tcp://192.0.2.9:8080"],
        False,
    ),
    "ingress": (
        IngressExposure,
        ServiceExposure("ingress", None, "10.9.0.1", (), ("192.0.2.8",)),
        ["http://a.own.org/", "tcp://192.0.2.8:80"],
        ["http://a.own.org/", "tcp://192.0.2.8:80"],
        False,
    ),
    "nodePort": (
        NodeExposure,
        ServiceExposure("nodePort", None, "10.9.0.1", (NodePort("TCP", 8080, 30_001),)),
        ["tcp://pabc.k1.x:30001"],
        ["tcp://192.0.2.1:30001"],
        False,
    ),
}
"""Of each word of `expose`: its kind, what was made for it, its addresses without TLS and with (and with an
address of the nodes' own), does it wake?"""


def test_the_table_has_every_word_that_a_manifest_may_use():
    for word in get_args(Service.model_fields["expose"].annotation):
        try:
            a_manifest(services=[service("a", expose=word)])
        except ValueError:
            assert word not in STRATEGIES, f"{word} is refused, and would be exposed all the same"
        else:
            assert word in STRATEGIES, f"{word} is let through, and nothing exposes it"
    assert set(STRATEGIES) == set(WORDS)


@pytest.mark.parametrize("word", WORDS)
def test_each_word_is_exposed_in_its_own_way(word):
    kind, given, plain, secure, wakes = WORDS[word]
    manifest = a_manifest(services=[service("a", expose=word)])
    (found,) = plan(manifest, "pabc", "k1.x")
    assert (type(found), found.service, found.expose) == (kind, "a", word)
    assert found.endpoints(PLAIN, given) == [(8080, url) for url in plain]
    assert found.endpoints(WITH_TLS, given) == [(8080, url) for url in secure]
    assert isinstance(found, FacadeExposure) is wakes is manifest.spec.services[0].wakes


def test_nodes_serve_two_words_alike_and_each_has_its_own_module():
    assert (STRATEGIES["udp"], STRATEGIES["nodePort"]) == (udp.expose, node_port.expose)


def test_a_port_that_is_not_given_yet_is_no_address():
    for word in ("tcp", "udp", "nodePort", "loadBalancer", "ingress"):
        (found,) = plan(a_manifest(services=[service("a", expose=word)]), "pabc", "k1.x")
        assert found.endpoints(PLAIN, ServiceExposure(word)) == []


def test_an_own_host_is_secure_only_with_an_own_certificate():
    own = {"hosts": ["own.org"], "tls": {"secretName": "mine"}}
    services = [service("a", hosts=["own.org"]), service("b", **own)]
    planned = through_facade(plan(a_manifest(services=services), "pabc", "k1.x"))
    found = [one.urls(WITH_TLS, None) for one in planned]
    assert [url for url in found[0] if url.startswith("https")] == ["https://pabc.k1.x:8443/"]
    assert "https://own.org:8443/" in found[1]


@pytest.mark.parametrize("words", [w for n in range(4) for w in product(WORDS, repeat=n)])
@pytest.mark.parametrize("least", [0, 1])
def test_a_pod_that_nothing_wakes_is_one_that_never_sleeps(words, least):
    services = [service(f"s{number}", 8080 + number, expose=word) for number, word in enumerate(words)]
    manifest = a_manifest(services=services, scale={"min": least, "max": 2})
    told = [problem.text for problem in problems(manifest) if problem.location == ("spec", "scale", "min")]
    asleep = not {"http", "tcp"} & set(words) or {"udp", "nodePort", "loadBalancer", "ingress"} & set(words)
    assert bool(told) is (least == 0 and bool(asleep))
    assert all("set scale.min to 1" in text and "\n" not in text for text in told)
    assert [one.service for one in plan(manifest, "pabc", "k1.x")] == [one["name"] for one in services]


@pytest.mark.parametrize(
    ("services", "text"),
    [
        ([service("a", paths=["/x"]), service("b", paths=["/x"])], "leads to two services"),
        ([service("a", hosts=["own.org"], tls={"secretName": "none"})], "no secret volume"),
        ([service("a", tls={"secretName": "mine"})], "list them in `hosts`"),
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
        {"expose": "ingress", "ingress": None},
        {"ingress": {"className": "traefik"}},
        {"expose": "nodePort", "limits": {"connections": 1}},
        {"expose": "udp", "hosts": ["own.org"]},
    ],
)
def test_what_does_not_go_together_is_refused(fields):
    with pytest.raises(ValueError, match="validation error"):
        a_manifest(services=[service("a", **fields)])


def test_a_controller_is_told_of_once_it_says_where_it_is():
    paths = [{"path": "/a"}, {"path": "/a", "pathType": "Exact"}, {"path": "/b"}]
    fields = {"tls": {"secretName": "mine"}, "ingress": {"className": "traefik", "paths": paths}}
    manifest = a_manifest(volumes=[SECRET], services=[service("web", 80, expose="ingress", **fields)])
    (found,) = plan(manifest, "pabc", "k1.x")
    given = ServiceExposure("ingress", addresses=("192.0.2.8", "in.example.org", "192.0.2.9"))
    assert [url for _, url in found.endpoints(PLAIN, given)] == [
        "https://web.own.org/a",
        "https://web.own.org/b",
        "tcp://192.0.2.8:443",
        "tcp://in.example.org:443",
    ]
    assert under_hosts([found]) == (found,)
    assert through_facade([found]) == ()
