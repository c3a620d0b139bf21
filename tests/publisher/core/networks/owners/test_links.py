# SPDX-License-Identifier: Apache-2.0
"""Links: no forged, replayed, older, foreign or other network's word changes one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.owners.documents import GENESIS, IDENTITY, export, invitation, node, port
from tests.protocol.networks.team import ALICE, AT, BOB, CAROL, MALLORY, Person, person
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.networks.owners.exports import ExportedNode, SharedHash
from trustedpods.protocol.networks.owners.links import MAX_LINKS
from trustedpods.publisher.core.networks.owners import links
from trustedpods.publisher.core.networks.owners.links import Us

NOW = AT + 10


def us(who: Person) -> Us:
    return Us(NetworkName(who.address, "ring"), who.address, {who.address})


def refused(rule: str):
    return pytest.raises(Refused, check=lambda error: error.rule == rule)


INVITATION = invitation()
AT_ALICE = links.invited([], us(ALICE), INVITATION, "bob")
AT_BOB = links.joined([], us(BOB), INVITATION, "alice", NOW)
ANSWER = export(
    BOB, to=ALICE.card.member, word="answers", about=INVITATION.digest, nodes=[node("two")], generation=5
)
ACCEPTED = links.accepted(AT_ALICE, us(ALICE), ANSWER, NOW)
ACCEPTANCE = export(to=BOB.card.member, word="accepts", about=INVITATION.digest, generation=4)


def test_from_an_invitation_to_its_end_on_both_sides() -> None:
    def told(at: list) -> list[str]:
        return [links.status_text(link, NOW) for link in at]

    assert told(AT_ALICE) == ["invited, no answer yet"]
    assert told(AT_BOB) == ["waiting for alice to accept"]
    assert [links.status_text(link, AT + 100) for link in (*AT_ALICE, *AT_BOB)] == ["expired", "expired"]
    assert told(ACCEPTED) == ["accepted"]
    both = links.imported(AT_BOB, us(BOB), ACCEPTANCE, None)
    assert told(both) == ["accepted"]
    gone = links.left(ACCEPTED, "bob")
    assert told(gone) == ["left"]
    goodbye = export(to=BOB.card.member, word="leaves", nodes=[], shared=[], generation=9)
    assert told(links.imported(both, us(BOB), goodbye, None)) == ["left"]


@pytest.mark.parametrize("identity", [b"\x02\xab", IDENTITY + b"\0", IDENTITY[:-1], b"\x30" * 128])
def test_what_is_no_key_is_no_nodes_identity_whichever_way_it_comes(identity: bytes) -> None:
    bad = [ExportedNode(name="one", identity=identity, ports=[port()])]
    with refused("export"):
        links.imported([], us(BOB), export(nodes=bad), "alice")
    with refused("export"):
        links.joined([], us(BOB), invitation(nodes=bad), "alice", NOW)
    answer = export(
        BOB, to=ALICE.card.member, word="answers", about=INVITATION.digest, nodes=bad, generation=5
    )
    with pytest.raises(Refused, match="the identity of node one is no key"):
        links.accepted(AT_ALICE, us(ALICE), answer, NOW)


def test_each_step_may_be_repeated() -> None:
    assert links.joined(AT_BOB, us(BOB), INVITATION, None, AT + 999) == AT_BOB
    assert links.accepted(ACCEPTED, us(ALICE), ANSWER, AT + 999) == ACCEPTED
    both = links.imported(AT_BOB, us(BOB), ACCEPTANCE, None)
    assert links.imported(both, us(BOB), ACCEPTANCE, None) == both


def test_an_invitation_is_for_one_and_ends() -> None:
    with refused("invitation"):
        links.joined([], us(CAROL), INVITATION, "alice", NOW)
    with refused("invitation"):
        links.joined([], us(BOB), INVITATION, "alice", AT + 100)
    with refused("invitation"):
        links.accepted(AT_ALICE, us(ALICE), ANSWER, AT + 100)
    with pytest.raises(BadInput, match="how this owner is called"):
        links.joined([], us(BOB), INVITATION, None, NOW)


@pytest.mark.parametrize(
    "fields",
    [
        {"by": MALLORY},
        {"about": bytes(32)},
        {"to": CAROL.card.member},
        {"word": "tells", "about": b""},
    ],
    ids=["stranger", "another invitation", "for another", "no answer"],
)
def test_what_answers_no_invitation_of_ours_is_refused(fields: dict) -> None:
    usual = {"by": BOB, "to": ALICE.card.member, "word": "answers", "about": INVITATION.digest}
    with pytest.raises(Refused):
        links.accepted(AT_ALICE, us(ALICE), export(**(usual | fields)), NOW)


def test_what_was_sent_before_does_nothing_after_a_link_ended() -> None:
    gone = links.left(ACCEPTED, "bob")
    with refused("invitation"):
        links.accepted(gone, us(ALICE), ANSWER, NOW)
    with refused("export"):
        links.imported(gone, us(ALICE), export(BOB, generation=99), None)
    again = invitation()
    anew = links.invited(gone, us(ALICE), again, None)
    assert [link.alias for link in anew] == ["bob"]
    with refused("invitation"):
        links.accepted(anew, us(ALICE), ANSWER, NOW)
    newer = export(BOB, to=ALICE.card.member, word="answers", about=again.digest, generation=6)
    assert links.accepted(anew, us(ALICE), newer, NOW)[0].state == "accepted"


@given(
    age=st.tuples(st.integers(0, 9), st.integers(0, 9)), known=st.tuples(st.integers(0, 9), st.integers(0, 9))
)
def test_of_two_exports_the_later_counts(age: tuple[int, int], known: tuple[int, int]) -> None:
    first = links.imported([], us(BOB), export(epoch=known[0], generation=known[1]), "alice")
    second = export(epoch=age[0], generation=age[1], nodes=[node(published=31001)])
    if age > known:
        after = links.imported(first, us(BOB), second, None)
        assert (after[0].export, after[0].age) == (encode(second), age)
    else:
        with refused("export"):
            links.imported(first, us(BOB), second, None)


def test_a_link_keeps_its_network_and_its_genesis() -> None:
    first = links.imported([], us(BOB), export(), "alice")
    with refused("export"):
        links.imported(first, us(BOB), export(name="rung", generation=9), None)
    other = [SharedHash(name="genesis.json", sha256=bytes(32))]
    with refused("genesis"):
        links.imported(first, us(BOB), export(shared=other, generation=9), None)
    with refused("export"):
        links.imported([], us(ALICE), export(), "self")


def test_a_genesis_of_ones_own_is_refused() -> None:
    mine = hashlib.sha256(GENESIS).digest()
    links.check_shared(AT_BOB, {"genesis.json": mine})
    links.check_shared(AT_BOB, {})
    with refused("genesis"):
        links.check_shared(AT_BOB, {"genesis.json": bytes(32)})
    links.check_shared(links.left(AT_BOB, "alice"), {"genesis.json": bytes(32)})


def test_an_alias_is_one_owners() -> None:
    with pytest.raises(BadInput, match="already"):
        links.imported(AT_ALICE, us(ALICE), export(CAROL), "bob")
    with pytest.raises(BadInput, match="no other owner"):
        links.left(AT_ALICE, "carol")
    assert links.by_alias(AT_ALICE, BOB.address).alias == "bob"


def test_a_farewell_is_heard_once() -> None:
    first = links.imported([], us(BOB), export(), "alice")
    goodbye = export(word="leaves", nodes=[], shared=[], generation=4)
    gone = links.imported(first, us(BOB), goodbye, None)
    again = links.joined(gone, us(BOB), invitation(generation=4), None, NOW)
    with refused("export"):
        links.imported(again, us(BOB), goodbye, None)


def test_who_left_may_begin_anew_with_another_network() -> None:
    gone = links.left(AT_BOB, "alice")
    other = invitation(name="rung", epoch=1, generation=1)
    again = links.joined(gone, us(BOB), other, None, NOW)
    assert (again[0].state, again[0].age) == ("joined", (1, 1))
    with refused("export"):
        links.joined(AT_BOB, us(BOB), other, None, NOW)
    anew = links.invited(links.left(ACCEPTED, "bob"), us(ALICE), INVITATION, None)
    answer = {"to": ALICE.card.member, "word": "answers", "about": INVITATION.digest, "name": "rung"}
    assert links.accepted(anew, us(ALICE), export(BOB, **answer), NOW)[0].state == "accepted"


def test_an_end_of_another_network_ends_no_invitation() -> None:
    goodbye = {"to": ALICE.card.member, "word": "leaves", "nodes": [], "shared": [], "generation": 9}
    with refused("export"):
        links.imported(AT_ALICE, us(ALICE), export(BOB, **goodbye), None)
    ours = export(BOB, about=INVITATION.digest, **goodbye)
    assert links.imported(AT_ALICE, us(ALICE), ours, None)[0].state == "left"


def test_owners_who_left_make_room() -> None:
    others = [person(number) for number in range(50, 50 + MAX_LINKS)]
    known: list = []
    for number, who in enumerate(others):
        known = links.imported(known, us(BOB), export(who), f"o{number}")
    with pytest.raises(BadInput, match="at most 16"):
        links.imported(known, us(BOB), export(), "alice")
    room = links.imported(links.left(known, "o3"), us(BOB), export(), "alice")
    assert {link.alias for link in room} == {"alice", *(f"o{n}" for n in range(MAX_LINKS) if n != 3)}


def test_what_others_tell_has_a_bound_together() -> None:
    nodes = [
        node(f"n{number:02}").model_copy(update={"ports": [port(1000 + at) for at in range(16)]})
        for number in range(16)
    ]
    known: list = []
    for number in range(3):
        known = links.imported(known, us(BOB), export(person(50 + number), nodes=nodes), f"o{number}")
    with pytest.raises(BadInput, match="together"):
        links.imported(known, us(BOB), export(nodes=nodes), "alice")
    room = links.imported(links.left(known, "o1"), us(BOB), export(nodes=nodes), "alice")
    assert [link.alias for link in room if not link.export] == ["o1"]
    assert links.left(room, "alice")
