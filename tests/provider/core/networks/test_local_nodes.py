# SPDX-License-Identifier: Apache-2.0
"""Ways inside one cluster: they follow what is published, both sides are opened, and nobody else gets in."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.provider.core.networks.local_nodes import (
    LocalPort,
    LocalWays,
    NodeWay,
    Passage,
    Passages,
    PublishedPort,
    Tenancy,
    WayEnd,
    local_ways,
)

ANN, BEN = Address("0x" + "aa" * 20), Address("0x" + "bb" * 20)
A, B = Tenancy(ChannelId("1" * 64), ANN), Tenancy(ChannelId("2" * 64), ANN)
HERE = "198.51.100.1"
A_PORT, B_PORT = PublishedPort("TCP", HERE, 30001), PublishedPort("UDP", HERE, 30002)
REPLICA = WayEnd(("10.8.0.5",), 8080)


def far_way(space="ns-a", published=B_PORT):
    return NodeWay(space, "peer-b", "7", published, WayEnd((published.address,), published.port), local=False)


def local_way(end=REPLICA, **more):
    return replace(far_way(**more), end=end, local=True)


def ports(b=B, end=REPLICA, spaces=("ns-b",)):
    return {B_PORT: LocalPort(b, spaces, end), A_PORT: LocalPort(A, ("ns-a",), WayEnd(("10.8.0.4",), 9090))}


def tenants(b=B):
    return {"ns-a": A, "ns-b": b, "ns-b2": b}


def test_a_way_to_a_pod_of_the_cluster_leads_to_its_replicas_and_both_sides_are_open():
    made = local_ways([far_way()], ports(), tenants())
    assert made.changed == (local_way(),)
    assert made.passages == {
        "ns-a": Passages(out=(Passage("ns-b", "UDP", 8080),)),
        "ns-b": Passages(into=(Passage("ns-a", "UDP", 8080),)),
    }


def test_what_is_as_it_should_be_is_not_written():
    made = local_ways([local_way()], ports(), tenants())
    assert (made.changed, set(made.passages)) == ((), {"ns-a", "ns-b"})


@pytest.mark.parametrize("addresses", [(), ("10.8.0.6",), ("10.8.0.5", "10.8.0.6")])
def test_replicas_are_followed(addresses):
    end = WayEnd(addresses, 8080)
    made = local_ways([local_way()], ports(end=end), tenants())
    assert made.changed == (local_way(end),)
    assert made.passages["ns-a"].out, "what is open does not end with the last ready replica"


def test_both_namespaces_of_a_pod_that_is_updated_stay_open():
    made = local_ways([local_way()], ports(end=None, spaces=("ns-b", "ns-b2")), tenants())
    assert made.changed == (local_way(WayEnd((), 8080)),), "its Service is on its way: nobody answers"
    assert {one.namespace for one in made.passages["ns-a"].out} == {"ns-b", "ns-b2"}


def test_a_node_that_moved_to_another_cluster_is_far_again():
    away = PublishedPort("UDP", "203.0.113.9", 30002)
    made = local_ways([local_way(published=away)], ports(), tenants())
    assert made == LocalWays((far_way(published=away),), {})
    named = PublishedPort("UDP", "far.example", 30002)
    made = local_ways([local_way(published=named)], ports(), tenants())
    assert made.changed[0].end.addresses == ()


def test_a_node_that_is_gone_is_far_again():
    assert local_ways([local_way()], {}, tenants()) == LocalWays((far_way(),), {})


def test_a_pod_of_somebody_else_is_reached_only_by_pods_that_it_calls_itself():
    others = Tenancy(B.channel, BEN)
    one_sided = local_ways([far_way()], ports(others), tenants(others))
    assert one_sided == LocalWays((), {})
    back = far_way("ns-b", A_PORT)
    both = local_ways([far_way(), back], ports(others), tenants(others))
    assert {way.namespace for way in both.changed} == {"ns-a", "ns-b"}
    assert both.passages["ns-b"].into == (Passage("ns-a", "UDP", 8080),)
    ended = local_ways([local_way()], ports(others), tenants(others))
    assert ended == LocalWays((far_way(),), {}), "who is not called any more calls no more"


def test_a_namespace_of_nobody_opens_nothing():
    assert local_ways([far_way("strange")], ports(), tenants()) == LocalWays((), {})


def test_a_pod_does_not_open_itself():
    assert local_ways([far_way("ns-b")], ports(), tenants()) == LocalWays((), {})


ENDS = st.builds(
    WayEnd, st.lists(st.sampled_from(["10.8.0.5", "10.8.0.6"]), unique=True).map(tuple), st.just(8080)
)
PLACES = st.tuples(
    st.sampled_from(["ns-a", "ns-b", "ns-b2", "strange"]),
    st.sampled_from([A_PORT, B_PORT, PublishedPort("TCP", "203.0.113.9", 1)]),
)


@given(st.dictionaries(PLACES, st.tuples(ENDS, st.booleans())), st.none() | ENDS, st.sampled_from([ANN, BEN]))
def test_passages_have_two_sides_and_a_second_look_changes_nothing(held, end, publisher):
    b = Tenancy(B.channel, publisher)
    ways = [NodeWay(space, str(port), "1", port, *led) for (space, port), led in held.items()]
    made = local_ways(ways, ports(b, end), tenants(b))
    out = {(name, *one) for name, open_ in made.passages.items() for one in open_.out}
    into = {(one.namespace, name, *one[1:]) for name, open_ in made.passages.items() for one in open_.into}
    assert out == into
    assert not any("strange" in one[:2] for one in out)
    changed = {(way.namespace, way.name): way for way in made.changed}
    after = [changed.get((way.namespace, way.name), way) for way in ways]
    again = local_ways(after, ports(b, end), tenants(b))
    assert again.changed == ()
    assert made.passages.keys() <= again.passages.keys()
