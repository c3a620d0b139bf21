# SPDX-License-Identifier: Apache-2.0
"""Which services the kernel may carry, each with a reason."""

from dataclasses import replace

from trustedpods.provider.core.facade_ways.ways import KernelWay
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.kernel.choice import ELSEWHERE, KERNEL, in_haproxy, told, way_of
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import ANY_RATE, TCP_CONNECTIONS, ServiceSpec, SlotLimits

ONE, TWO = PodAddress("a-1", "10.0.1.2", 7000), PodAddress("a-2", "10.0.1.3", 7000)
RAW = ServiceSpec("shop.raw", (), (ONE,), protocol=SlotProtocol.TCP)


def test_every_service_has_one_way_and_a_reason() -> None:
    cases = {
        RAW: None,
        replace(RAW, draining=(TWO,)): None,
        replace(RAW, limits=SlotLimits(connections=3, rate=ANY_RATE)): None,
        replace(RAW, affinity="ip"): "affinity",
        replace(RAW, limits=SlotLimits(rate=5)): "requests per second",
        replace(RAW, pods=()): "no replica",
        replace(RAW, pods=(ONE, TWO)): "several",
        replace(RAW, protocol=SlotProtocol.HTTP): "reads",
        replace(RAW, protocol=SlotProtocol.H2): "reads",
    }
    for want, why in cases.items():
        found = in_haproxy(want)
        assert (found is None) == (why is None), want
        assert why is None or why in str(found)
        assert (way_of(want, 31000, "shop") is None) == (why is not None)


def test_a_way_has_the_replicas_address_and_the_services_limit() -> None:
    assert way_of(RAW, 31000, "shop") == KernelWay(31000, "shop", "10.0.1.2", 7000, TCP_CONNECTIONS)
    limited = way_of(replace(RAW, limits=SlotLimits(connections=3)), 31000, "shop")
    assert limited is not None
    assert limited.most == 3


def test_what_the_agent_does_not_lead_is_haproxys() -> None:
    assert told(RAW, 31000, frozenset({31000})) == KERNEL
    assert told(RAW, 31000, frozenset()) == ELSEWHERE
    assert "affinity" in told(replace(RAW, affinity="ip"), 31000, frozenset({31000}))
