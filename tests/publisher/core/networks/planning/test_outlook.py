# SPDX-License-Identifier: Apache-2.0
"""What a plan is for each node, as people are told it."""

from dataclasses import replace

from tests.fakes.network_states import ALICE
from tests.fakes.provider.pods import a_manifest
from tests.publisher.core.networks.test_plan import content, founded, node
from trustedpods.protocol.networks.content import AddressEntry
from trustedpods.publisher.core.networks.plan import plan_of
from trustedpods.publisher.core.networks.planning.outlook import (
    TunnelOutlook,
    identity_states,
    outlook,
    tunnels,
    with_kept,
    with_stopped,
)


def effects(state, *nodes):
    plan = plan_of(state, founded(), nodes, None, ALICE.address)
    found = outlook(plan, nodes, {one.name: 7 for one in nodes})
    return [(one.node, one.effect, one.cluster, one.an_hour) for one in found]


def test_every_node_has_one_line():
    state = content(node("a"), node("b"), node("c"), node("d"), node("e"))
    newer = node("b", digest=b"2" * 32)
    wanted = [node("a"), newer, replace(newer, name="c", stops=True), node("d", "k2"), node("f")]
    assert effects(state, *wanted) == [
        ("e", "delete", "k1", None),
        ("a", "unchanged", "k1", 7),
        ("b", "in place", "k1", 7),
        ("c", "restart", "k1", 7),
        ("d", "recreate", "k2", 7),
        ("f", "create", "k1", 7),
    ]


def test_a_node_of_which_terms_alone_change_is_kept():
    """Of those that are updated: one that is as the file says, new or recreated is told as ever."""
    state = content(node("a"), node("b"), node("c"), node("d"))
    wanted = [node("a"), replace(node("b", digest=b"2" * 32), stops=True), node("c", digest=b"2" * 32)]
    nodes = [*wanted, node("d", "k2"), node("f")]
    plan = plan_of(state, founded(), nodes, None, ALICE.address)
    found = with_kept(outlook(plan, nodes, {}), plan, {"a", "b", "d", "f"})
    effects = {one.node: one.effect for one in found}
    assert effects == {"a": "unchanged", "b": "keep", "c": "in place", "d": "recreate", "f": "create"}


def test_a_stopped_node_is_marked_where_an_apply_leaves_it():
    state = content(node("a"), node("b"), node("c"), node("d"), node("e"))
    nodes = [node("a"), node("b", digest=b"2" * 32), node("d", "k2"), node("f")]
    plan = plan_of(state, founded(), nodes, None, ALICE.address)
    found = with_stopped(outlook(plan, nodes, {}), {*"abcdef"})
    assert {one.node for one in found if one.stopped} == {"a", "b"}


def test_what_did_not_come_to_its_end_is_created():
    assert effects(content(node("a"), phase="requested"), node("a")) == [("a", "create", "k1", 7)]


def test_a_node_whose_files_have_the_address_of_one_that_moves_says_what_it_does():
    state = content(node("a"), node("b"), node("c"), node("d"))
    calling = [
        replace(node("a"), follows={"d": "reload"}),
        replace(node("b"), follows={"d": "restart", "e": "reload"}),
        replace(node("c"), follows={"a": "restart"}),
        node("d", "k2"),
        node("e"),
    ]
    assert effects(state, *calling) == [
        ("a", "reload", "k1", 7),
        ("b", "restart", "k1", 7),
        ("c", "unchanged", "k1", 7),
        ("d", "recreate", "k2", 7),
        ("e", "create", "k1", 7),
    ]


def test_a_plan_says_how_it_stands_with_what_each_node_is_known_by():
    keys = {"name": "keys", "secret": {"generate": {"id": {"type": "ed25519", "identity": True}}}}
    manifests = dict.fromkeys(("a", "b", "c"), a_manifest(volumes=[keys])) | {"d": a_manifest()}
    state = content(node("a"), node("b"))
    known = [
        AddressEntry(component=name, service="web", port=80, url="tcp://192.0.2.1:80", identity=b"x")
        for name in ("a", "b")
    ]
    states = identity_states(manifests, known)
    assert states == {"a": "made", "b": "made", "c": "to be made", "d": "none"}
    wanted = (node("a"), node("b", "k2"), node("c"), node("d"))
    found = outlook(plan_of(state, founded(), wanted, None, ALICE.address), wanted, {}, states)
    assert [one.identity for one in found] == ["made", "to be made", "to be made", "none"]


def test_a_plan_says_which_tunnels_lead_nowhere():
    def tunnelled(*nodes, service="link"):
        return a_manifest(network={"nodes": list(nodes), "tunnel": {"service": service}})

    manifests = {
        "a": tunnelled("b", "c"),
        "b": tunnelled("a", "d"),
        "c": tunnelled("e", service="other"),
        "d": a_manifest(),
    }
    assert tunnels(manifests) == (
        TunnelOutlook("a", "b"),
        TunnelOutlook("a", "c", "that of c is at the service other, not link"),
        TunnelOutlook("b", "a"),
        TunnelOutlook("b", "d", "d has none"),
        TunnelOutlook("c", "e", "e is no node of this file"),
    )
    assert tunnels({"a": tunnelled("b"), "b": tunnelled("c")})[0].lacks == "b does not name a"
