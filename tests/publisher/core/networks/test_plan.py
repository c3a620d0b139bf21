# SPDX-License-Identifier: Apache-2.0
"""What an apply changes: nodes and members, and who may."""

import hashlib

import pytest

from tests.fakes.network_states import ALICE, BOB, CAROL, SHOP, state_of
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.members import (
    NetworkName,
    Role,
    changed,
    no_members,
    roster_of,
    sign_change,
)
from trustedpods.publisher.core.networks import components
from trustedpods.publisher.core.networks.plan import (
    WantedMember,
    WantedNode,
    plan_of,
    pod_name,
    signed_changes,
)
from trustedpods.publisher.networks.states import own_card

DIGEST = hashlib.sha256(b"a pod").digest()


def node(name, cluster="k1", digest=DIGEST):
    return WantedNode(name, cluster, digest)


def member(who, role, *, card=True):
    return WantedMember(who.address, role, own_card(who) if card else None)


def founded():
    card = own_card(ALICE)
    subject = hashlib.sha256(card.key).digest()
    change = sign_change(
        ALICE.key, no_members(SHOP), "found", at=1, role=Role.OWNER, member=card.member, subject=subject
    )
    return roster_of(SHOP, [change])


def team(*others):
    roster, members = founded(), [member(ALICE, Role.OWNER), *others]
    plan = plan_of(content(), roster, (), members, ALICE.address)
    for change in signed_changes(ALICE.key, roster, plan.members, members, 2):
        roster = changed(roster, change)
    return roster


def content(*nodes, by=ALICE, phase="started"):
    state = state_of().model_copy(update={"components": []})
    for one in nodes:
        made = components.requested(one, by.address).model_copy(update={"phase": phase})
        state = components.with_component(state, made)
    return state


def steps(state, *nodes, who=ALICE, roster=None, looking=False):
    plan = plan_of(state, roster or founded(), nodes, None, who.address, looking=looking)
    return [(step.doing, step.node, step.cluster) for step in plan.nodes]


def test_what_is_as_the_file_says_is_not_touched():
    state = content(node("a"), node("b", "k2"))
    assert steps(state, node("a"), node("b", "k2")) == []
    assert plan_of(state, founded(), [node("a"), node("b", "k2")], None, ALICE.address).changes == 0


@pytest.mark.parametrize(
    ("there", "wanted", "expected"),
    [
        ([], [node("b"), node("a")], [("deploy", "b", "k1"), ("deploy", "a", "k1")]),
        ([node("a")], [], [("remove", "a", "k1")]),
        ([node("a")], [node("a", digest=b"x" * 32)], [("update", "a", "k1")]),
        ([node("a")], [node("a", "k2")], [("remove", "a", "k1"), ("deploy", "a", "k2")]),
        ([node("a")], [node("b")], [("remove", "a", "k1"), ("deploy", "b", "k1")]),
    ],
)
def test_nodes_come_change_move_and_go(there, wanted, expected):
    assert steps(content(*there), *wanted) == expected


@pytest.mark.parametrize("phase", ["requested", "stopped"])
def test_what_did_not_come_to_its_end_goes_on_and_what_is_not_wanted_goes(phase):
    assert steps(content(node("a"), phase=phase), node("a")) == [("go on", "a", "k1")]
    assert steps(content(node("a"), phase=phase)) == [("remove", "a", "k1")]


def test_a_cluster_that_the_network_does_not_have_is_named():
    with pytest.raises(BadInput, match="no cluster 'k9'; it has: k1, k2"):
        steps(content(), node("a", "k9"))


def test_another_members_node_is_left_alone_or_refused():
    roster = team(member(BOB, Role.OPERATOR))
    state = content(node("a"))
    assert steps(state, node("a"), node("b"), who=BOB, roster=roster) == [("deploy", "b", "k1")]
    for wanted in ([], [node("a", digest=b"x" * 32)], [node("a", "k2")]):
        with pytest.raises(Refused) as caught:
            steps(state, *wanted, who=BOB, roster=roster)
        assert (caught.value.rule, caught.value.where) == ("publisher", "node a")


def test_a_node_of_somebody_who_left_the_team_is_dropped_and_deployed_anew():
    state, anew = content(node("a"), by=BOB), node("a", digest=b"x" * 32)
    assert steps(state) == [("remove", "a", "k1")]
    assert steps(state, node("a")) == []
    assert steps(state, anew) == [("remove", "a", "k1"), ("deploy", "a", "k1")]
    assert steps(state, node("a", "k2")) == [("remove", "a", "k1"), ("deploy", "a", "k2")]
    unfinished = content(node("a"), by=BOB, phase="requested")
    assert steps(unfinished, node("a")) == [("remove", "a", "k1"), ("deploy", "a", "k1")]


def test_viewers_look_operators_apply_owners_change_members():
    roster = team(member(BOB, Role.VIEWER), member(CAROL, Role.OPERATOR))
    assert steps(content(), node("a"), who=BOB, roster=roster, looking=True) == [("deploy", "a", "k1")]
    assert steps(content(), node("a"), who=CAROL, roster=roster) == [("deploy", "a", "k1")]
    with pytest.raises(Refused, match="is a viewer of this network and changes nothing"):
        steps(content(), node("a"), who=BOB, roster=roster)
    for who, told in ((CAROL, "an operator"), (BOB, "a viewer")):
        with pytest.raises(Refused, match=f"is {told} of this network: only owners change members") as caught:
            plan_of(content(), roster, (), [member(ALICE, Role.OWNER)], who.address)
        assert caught.value.rule == "role"


def test_the_team_becomes_that_of_the_file():
    roster = team(member(BOB, Role.VIEWER), member(CAROL, Role.OPERATOR))
    assert {who: one.role for who, one in roster.members.items()} == {
        ALICE.address: Role.OWNER, BOB.address: Role.VIEWER, CAROL.address: Role.OPERATOR,
    }  # fmt: skip
    wanted = [member(ALICE, Role.OWNER, card=False), member(BOB, Role.OPERATOR, card=False)]
    plan = plan_of(content(), roster, (), wanted, ALICE.address)
    assert [(step.address, step.role, step.before) for step in plan.members] == [
        (BOB.address, Role.OPERATOR, Role.VIEWER),
        (CAROL.address, None, Role.OPERATOR),
    ]
    for change in signed_changes(ALICE.key, roster, plan.members, wanted, 3):
        roster = changed(roster, change)
    assert plan_of(content(), roster, (), wanted, ALICE.address).members == ()
    assert roster.members[BOB.address].key_digest == hashlib.sha256(own_card(BOB).key).digest()


def test_a_new_member_needs_a_card_and_nobody_takes_himself_out():
    with pytest.raises(BadInput, match=f"{BOB.address} is new, and the file names no card") as caught:
        team(member(BOB, Role.VIEWER, card=False))
    assert "network card" in caught.value.hint
    with pytest.raises(Refused, match="another owner takes you out"):
        plan_of(content(), founded(), (), [member(BOB, Role.OWNER)], ALICE.address)


def test_a_pods_name_is_no_other_networks_and_fits():
    names = {
        pod_name(network, "a")
        for network in (SHOP, NetworkName(BOB.address, "shop"), NetworkName(ALICE.address, "shop2"))
    }
    assert len(names) == 3
    assert len(pod_name(SHOP, "x" * 50)) <= 63
    assert pod_name(SHOP, "a") == pod_name(NetworkName(ALICE.address, "shop"), "a")


def test_a_component_that_changes_loses_its_address_and_one_that_goes_takes_it_along():
    from trustedpods.protocol.networks.content import AddressEntry

    state = components.with_addresses(
        content(node("a")), "a", [AddressEntry(component="a", url="https://a", generation=1)]
    )
    assert [one.url for one in state.addresses] == ["https://a"]
    stopping = components.stopping(components.component_of(state, "a"))
    assert (stopping.phase, stopping.manifest_digest) == ("stopped", b"")
    assert components.with_component(state, stopping).addresses == []
    gone = components.without_component(state, "a")
    assert (gone.components, gone.addresses) == ([], [])
    assert stopping.publisher == address_bytes(ALICE.address)
