# SPDX-License-Identifier: Apache-2.0
"""Who may change a network's team, and that nobody can change what an owner signed."""

import hashlib

import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.team import (
    ALICE,
    AT,
    BOB,
    CAROL,
    MALLORY,
    NETWORK,
    TEAM,
    Person,
    founded,
    with_role,
    without,
)
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.networks import members
from trustedpods.protocol.networks.members import (
    MAX_CHANGES,
    MAX_MEMBERS,
    Member,
    MemberChange,
    NetworkName,
    Role,
    changed,
    check_card,
    check_network_name,
    lost_digest,
    network_salt,
    no_members,
    roster_of,
    sign_card,
    sign_change,
)
from trustedpods.protocol.sealing.signatures import sign_statement, statement_signer


def refused(changes: list[MemberChange]) -> str:
    with pytest.raises(Refused) as caught:
        roster_of(NETWORK, changes)
    assert caught.value.rule == "members"
    return caught.value.what


def test_the_chain_gives_each_member_a_role() -> None:
    roster = roster_of(NETWORK, TEAM)
    assert {who: member.role for who, member in roster.members.items()} == {
        ALICE.address: Role.OWNER,
        BOB.address: Role.OPERATOR,
        CAROL.address: Role.VIEWER,
    }
    assert roster.role(MALLORY.address) is None
    assert [role.writes for role in (Role.OWNER, Role.OPERATOR, Role.VIEWER)] == [True, True, False]


@pytest.mark.parametrize("by", [BOB, CAROL, MALLORY], ids=["operator", "viewer", "stranger"])
def test_only_owners_change_members(by: Person) -> None:
    assert "is no owner" in refused(with_role(TEAM, MALLORY, Role.VIEWER, by=by))


def test_only_the_founder_begins() -> None:
    assert "only the founder" in refused(founded(by=BOB))
    again = sign_change(
        ALICE.secret, roster_of(NETWORK, TEAM), "found", at=AT, role=Role.OWNER, member=ALICE.card.member
    )
    assert "only the founder" in refused([*TEAM, again])
    assert "is no owner" in refused(with_role([], ALICE, Role.OWNER))


def test_the_last_owner_stays() -> None:
    assert "no owner would be left" in refused(without(TEAM, ALICE))
    assert "no owner would be left" in refused(with_role(TEAM, ALICE, Role.VIEWER))
    two = with_role(TEAM, BOB, Role.OWNER)
    assert roster_of(NETWORK, without(two, ALICE, by=BOB)).role(ALICE.address) is None


def test_one_who_is_no_member_cannot_be_removed() -> None:
    assert "is no member" in refused(without(TEAM, MALLORY))


@pytest.mark.parametrize("gone", range(len(TEAM)))
def test_no_change_can_be_left_out_or_moved(gone: int) -> None:
    longer = without(TEAM, CAROL)
    assert refused([*longer[:gone], *longer[gone + 1 :]])
    assert refused([*longer[:gone], longer[gone + 1], longer[gone], *longer[gone + 2 :]])


@given(
    field=st.sampled_from(["role", "member", "subject", "at", "by", "signature", "action"]), data=st.data()
)
def test_no_field_of_a_change_can_be_changed(field: str, data: st.DataObject) -> None:
    good = TEAM[1]
    others = {
        "role": st.sampled_from(["owner", "viewer"]),
        "action": st.sampled_from(["remove", "lose"]),
        "at": st.integers(0, (1 << 64) - 1),
        "member": st.binary(min_size=20, max_size=20),
        "by": st.binary(min_size=20, max_size=20),
        "subject": st.binary(min_size=32, max_size=32),
        "signature": st.binary(min_size=65, max_size=65),
    }[field].filter(lambda value: value != getattr(good, field))
    assert refused([TEAM[0], good.model_copy(update={field: data.draw(others)})])


def test_a_change_is_of_one_network() -> None:
    for other in (NetworkName(ALICE.address, "rung"), NetworkName(BOB.address, "ring")):
        with pytest.raises(Refused):
            roster_of(other, TEAM)


def test_a_wallet_that_signs_texts_can_make_a_change() -> None:
    seen: list[str] = []
    _, signature = sign_statement(ALICE.secret, lambda address: seen.append(address) or f"by {address}")  # type: ignore[func-returns-value]
    assert seen == [ALICE.address]
    wallet = Account.sign_message(encode_defunct(text=f"by {ALICE.address}"), ALICE.secret)
    assert bytes(wallet.signature) == signature


def test_a_cluster_is_declared_lost_by_an_owner() -> None:
    provider = address_bytes(BOB.address)
    subject = lost_digest("south", provider, 1, "the house burnt down")
    roster = roster_of(NETWORK, TEAM)
    told = sign_change(ALICE.secret, roster, "lose", at=AT, subject=subject)
    assert changed(roster, told).lost == {subject}
    others = [
        lost_digest("sout", provider, 1, "hthe house burnt down"),
        lost_digest("south", provider, 2, "the house burnt down"),
        lost_digest("south", address_bytes(ALICE.address), 1, "the house burnt down"),
    ]
    assert subject not in others, "the word is of that cluster, of that provider, for that reason"
    assert len(set(others)) == len(others)
    with pytest.raises(Refused, match="no owner"):
        changed(roster, sign_change(BOB.secret, roster, "lose", at=AT, subject=subject))


def test_a_team_and_its_changes_are_bounded() -> None:
    many = {Address(f"0x{number:040x}"): Member(Role.OWNER, bytes(32)) for number in range(MAX_MEMBERS)}
    full = members.Roster(NETWORK, bytes(32), 40, {**many, ALICE.address: Member(Role.OWNER, bytes(32))})
    for roster, why in (
        (full, "at most 32"),
        (members.Roster(NETWORK, bytes(32), MAX_CHANGES, full.members), "256 changes"),
    ):
        change = sign_change(ALICE.secret, roster, "set", at=AT, role=Role.VIEWER, member=BOB.card.member)
        with pytest.raises(Refused, match=why):
            changed(roster, change)


def test_a_card_is_its_members_own() -> None:
    check_card(ALICE.card)
    for wrong in ({"member": BOB.card.member}, {"key": BOB.card.key}, {"signature": BOB.card.signature}):
        with pytest.raises(Refused, match="not signed by"):
            check_card(ALICE.card.model_copy(update=wrong))


@pytest.mark.parametrize("name", ["ring", "r", "a-1", "a" * 40])
def test_names_that_a_lease_can_carry(name: str) -> None:
    assert check_network_name(name) == name


@pytest.mark.parametrize("name", ["", "1ring", "-a", "a-", "Ring", "a_b", "a" * 41, "a\n", "ring\n", "é"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_network_name(name)


def test_what_is_signed_and_hashed_stays_as_it_is() -> None:
    """Frozen: other bytes would cut every network that exists off from its team."""
    assert network_salt("ring").hex() == "31afb5f82586818eed1cf7fefae4d941afd409c75aa9eced661434ffcd85990d"
    assert (
        no_members(NETWORK).head.hex() == "0e3fffb68a8c5c7cd1b3d01f458525ea86cb802396e5d42c8a75bb49ea4452e5"
    )
    roster = roster_of(NETWORK, TEAM)
    assert roster.head.hex() == "a4432823fe5a6ce0f4bd8587037fbfdba704c5b16d0f359b37c352dd1009574e"
    assert (
        hashlib.sha256(b"".join(map(encode, TEAM))).hexdigest()
        == "d090786d63363eae3c3bd1da13d741b2856719c8ee14a5fb8bd06ac7a2f076c5"
    )
    assert sign_card(ALICE.secret, bytes(1216)).signature.hex()[:32] == "34824750f0a50a508b6887169aa53713"


SECRETS = st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < int.from_bytes(raw) < 1 << 255)


@given(SECRETS)
def test_who_signs_is_found_again(secret: bytes) -> None:
    who, signature = sign_statement(secret, lambda address: f"I am {address}")
    assert who == Account.from_key(secret).address
    assert statement_signer(f"I am {who}", signature) == who


def test_what_is_no_key_does_not_sign() -> None:
    for wrong in (b"", bytes(32), b"\xff" * 32):
        with pytest.raises(BadInput, match="not an Ethereum private key"):
            sign_statement(wrong, str)
