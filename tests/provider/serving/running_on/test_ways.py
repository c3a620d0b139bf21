# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest

from tests.fakes.chain.chain import FakeChain
from tests.fakes.provider.caller import manifest_of
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import config_of
from trustedpods.protocol.units import MIB
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.pod import FacadeWay, ServiceExposure
from trustedpods.provider.core.scaler.types import Serve
from trustedpods.provider.exposure.plan import plan, through_facade
from trustedpods.provider.facade.slots import SlotLimits
from trustedpods.provider.serving.running_on import ways
from trustedpods.provider.serving.slots import service_spec_of

SERVICES = [
    {
        "name": "web",
        "expose": "http",
        "ports": [{"port": 80, "targetPort": 8080}],
        "hosts": ["www.example.org"],
        "httpsOnly": True,
        "tls": {"secretName": "cert"},
        "sessionAffinity": {"cookie": "sid"},
        "limits": {"connections": 7, "requestsPerSecond": 9, "bodySize": "1Mi"},
    },
    {"name": "raw", "expose": "tcp", "ports": [{"port": 8080}]},
]
NODE = "10.0.0.1"
READY = PodView(
    "tp-p-7", "pod-1", "u", "l", "Running", NODE, True, 1, None, None, None, 0, 100, 64, 0, "node"
)


@pytest.fixture
def facade(tmp_path):
    return config_of(tmp_path, FakeChain(), "0x" + "1" * 40).facade


def test_what_the_books_say_is_served_as_the_bundle_would_be(facade):
    record = pod_record()
    parts = {
        one.service: one for one in through_facade(plan(manifest_of(services=SERVICES), record.label, "k1"))
    }
    second = facade.tcp_port(facade.pools.slots("tcp")[1])
    exposures = {
        name: ServiceExposure(one.expose, second if name == "raw" else None, way=ways.way_of(one))
        for name, one in parts.items()
    }
    record = replace(record, exposures=exposures | {"db": ServiceExposure("none")})
    here = ways.addresses([READY], 8080)
    found = {spec.label: spec for spec in ways.specs_of(record, [READY], facade)}
    for part in parts.values():
        wished = facade.pools.slots("tcp")[1] if part.service == "raw" else None
        bundles = service_spec_of(part, Serve(here), facade.most)
        assert found.pop(part.label) == replace(bundles, wished=wished)
    assert found == {}


def test_no_limit_is_above_this_providers(facade):
    way = FacadeWay("http", 8080, connections=10**5, rate=10**6, body_mib=10**6)
    record = pod_record(exposures={"web": ServiceExposure("http", way=way)})
    (spec,) = ways.specs_of(record, (), facade.model_copy(update={"max_connections": 5, "max_body_mib": 2}))
    assert (spec.limits.connections, spec.limits.body_bytes) == (5, 2 * MIB)
    assert spec.limits != SlotLimits()


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "another-version"},
        {"ready": False},
        {"ip": None},
        {"over": True},
        {"deleted_at": 5},
    ],
)
def test_what_is_ending_or_not_ready_or_of_another_version_gets_nothing(change):
    assert ways.may_serve(pod_record(), READY)
    assert not ways.may_serve(pod_record(), replace(READY, **change))


def test_a_pod_is_in_place_where_its_own_port_is_the_one_that_people_know(facade):
    first, second = facade.pools.slots("tcp")[:2]
    raw, web = ServiceExposure("tcp", facade.tcp_port(second)), ServiceExposure("http")
    record = pod_record(exposures={"raw": raw, "web": web})
    keys = {name: f"{record.label}.{name}" for name in record.exposures}
    assert ways.in_place(record, {}, facade)
    assert ways.in_place(record, {keys["raw"]: second, keys["web"]: 3}, facade)
    assert not ways.in_place(record, {keys["raw"]: first, keys["web"]: 3}, facade)
