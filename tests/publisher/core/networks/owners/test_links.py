# SPDX-License-Identifier: Apache-2.0
"""Links: no forged, replayed, older, foreign or other network's word changes one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.owners.documents import GENESIS, export, invitation, node
from tests.protocol.networks.team import ALICE, AT, BOB, CAROL, MALLORY, Person
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.protocol.networks.owners.exports import SharedHash
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
