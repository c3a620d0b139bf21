# SPDX-License-Identifier: Apache-2.0
"""What a daemon takes as the next document of a network, and who opens it."""

import contextlib
from typing import Any

import pytest
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
    read,
    with_role,
    without,
    written,
)
from tests.protocol.strategies import messages
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.documents import NOTHING, Document, Generation
from trustedpods.protocol.networks.members import MemberCard, MemberChange, Role, network_salt
from trustedpods.protocol.networks.sealed_documents import (
    MAX_BODY,
    MAX_CONTENT,
    SealedBody,
    check_write,
    name_of,
    open_body,
    parse_body,
    role_of,
    verified,
)
from trustedpods.protocol.sealing import hpke
from trustedpods.protocol.sealing.signatures import sign_statement

SALT = network_salt("ring")
FIRST = written(ALICE, b"first")
SECOND = written(BOB, b"second", FIRST)


def take(document: Document, base: Document, signer: Person) -> None:
    check_write(ALICE.address, SALT, base, document, signer.address, AT)


def refusal(document: Document, base: Document, signer: Person) -> str | None:
    with pytest.raises(Refused) as caught:
        take(document, base, signer)
    return caught.value.rule


def altered(document: Document, **fields: Any) -> Document:
    body = parse_body(document.body).model_copy(update=fields)
    return Document(document.generation, encode(body))


def test_the_founder_writes_first_and_an_operator_next() -> None:
    take(FIRST, NOTHING, ALICE)
    take(SECOND, FIRST, BOB)
    assert name_of(SECOND.body) == "ring"


def test_each_member_opens_it_and_nobody_else() -> None:
    for who in (ALICE, BOB, CAROL):
        assert read(FIRST, who) == b"first"
    with pytest.raises(Refused, match="no member"):
        read(FIRST, MALLORY)
    with pytest.raises(RemoteProtocolError):
        open_body(parse_body(FIRST.body), ALICE.address, MALLORY.key)
    assert b"first" not in FIRST.body


def test_a_viewer_cannot_write_nor_can_a_stranger() -> None:
    for who in (CAROL, MALLORY):
        assert refusal(written(who, b"mine", FIRST), FIRST, who) == "writer"
        assert refusal(SECOND, FIRST, who) == "role"
    assert refusal(written(BOB, b"mine", NOTHING, founded()), NOTHING, BOB) == "writer"


def test_whoever_comes_next_may_bring_what_another_wrote_to_its_end() -> None:
    take(SECOND, FIRST, ALICE)
    other = altered(SECOND, writer=ALICE.card.member)
    assert refusal(other, FIRST, ALICE) == "writer", "it is not signed by her"


def test_one_who_was_removed_opens_nothing_later_and_writes_no_more() -> None:
    later = written(ALICE, b"without bob", FIRST, without(TEAM, BOB))
    take(later, FIRST, ALICE)
    with pytest.raises(Refused, match="no member"):
        read(later, BOB)
    assert read(later, CAROL) == b"without bob"
    assert refusal(written(BOB, b"again", later), later, BOB) == "members", "it forgets his removal"
    assert role_of(ALICE.address, SALT, later.body, BOB.address) is None
    old = [parse_body(FIRST.body).keys[place].sealed for place in range(3)]
    assert not {key.sealed for key in parse_body(later.body).keys} & set(old), "a key of its own"


def test_a_new_operator_does_not_let_himself_in() -> None:
    own = with_role(TEAM, MALLORY, Role.OPERATOR, by=MALLORY)
    assert refusal(altered(SECOND, changes=own), FIRST, MALLORY) == "members"
    with pytest.raises(Refused, match="is no owner"):
        written(MALLORY, b"mine", FIRST, own)
    let_in = with_role(TEAM, MALLORY, Role.OPERATOR)
    early = written(MALLORY, b"mine", FIRST, let_in)
    assert refusal(early, FIRST, MALLORY) == "role", "an owner's or operator's write brings the change"
    take(
        written(MALLORY, b"mine", (by_alice := written(ALICE, b"x", FIRST, let_in)), let_in),
        by_alice,
        MALLORY,
    )


def test_nobody_demotes_himself() -> None:
    two = with_role(TEAM, BOB, Role.OWNER)
    base = written(ALICE, b"x", FIRST, two)
    assert refusal(written(BOB, b"y", base, with_role(two, BOB, Role.VIEWER, by=BOB)), base, BOB) == "writer"


@pytest.mark.parametrize(
    ("document", "base"),
    [
        (written(BOB, b"x", Document(Generation(7), b"")), FIRST),
        (Document(Generation(3), SECOND.body), FIRST),
        (Document(Generation(1), SECOND.body), NOTHING),
        (FIRST, FIRST),
    ],
    ids=["far", "other-number", "number-of-another", "same"],
)
def test_generations_follow_one_another(document: Document, base: Document) -> None:
    assert refusal(document, base, BOB) == "generation"


def test_a_document_is_of_the_network_that_is_asked_about() -> None:
    for founder, salt in ((BOB.address, SALT), (ALICE.address, network_salt("rung"))):
        with pytest.raises(Refused) as caught:
            check_write(founder, salt, NOTHING, FIRST, ALICE.address, AT)
        assert caught.value.rule == "network"
        assert role_of(founder, salt, FIRST.body, ALICE.address) is None


def test_an_epoch_far_ahead_of_the_clock_is_no_epoch() -> None:
    absurd = written(ALICE, b"x", FIRST, epoch=1 << 63)
    for document, base, who in (
        (written(ALICE, b"first", epoch=1 << 63), NOTHING, ALICE),
        (absurd, FIRST, ALICE),
        (written(ALICE, b"unsaid", FIRST, epoch=None), FIRST, ALICE),
        (
            written(ALICE, b"early", later := written(ALICE, b"y", FIRST, epoch=AT), epoch=AT - 1),
            later,
            ALICE,
        ),
    ):
        assert refusal(document, base, who) == "epoch"
    for sane in (1, AT):
        take(written(BOB, b"sane", absurd, epoch=sane), absurd, BOB)
    take(later, FIRST, BOB)


def test_a_body_of_an_earlier_version_says_no_epoch_and_is_followed_by_one_that_does() -> None:
    old = written(ALICE, b"old", epoch=None)
    assert b"epoch" not in old.body
    assert verified(parse_body(old.body)).network == NETWORK
    take(written(BOB, b"new", old, epoch=AT), old, BOB)


def test_the_schema_never_goes_back() -> None:
    newer = written(ALICE, b"new", FIRST, schema=2)
    take(newer, FIRST, ALICE)
    assert refusal(written(BOB, b"old", newer), newer, BOB) == "schema"


def test_only_an_owner_lets_the_schema_go_on_and_others_bring_his_write_to_its_end() -> None:
    """Else an operator could write the number of one that no client will ever know."""
    assert refusal(written(BOB, b"never again", FIRST, schema=(1 << 32) - 1), FIRST, BOB) == "role"
    take(written(ALICE, b"new", FIRST, schema=2), FIRST, BOB)


def test_roles_of_a_copy_and_of_none() -> None:
    people = (ALICE, BOB, CAROL, MALLORY)
    assert [role_of(ALICE.address, SALT, FIRST.body, who.address) for who in people] == [
        Role.OWNER,
        Role.OPERATOR,
        Role.VIEWER,
        None,
    ]
    assert [role_of(ALICE.address, SALT, b"", who.address) for who in people] == [
        Role.OWNER,
        None,
        None,
        None,
    ]


BODY = parse_body(SECOND.body)


@pytest.mark.parametrize(
    "fields",
    [
        {"sealed": BODY.sealed[:-1] + bytes([BODY.sealed[-1] ^ 1])},
        {"schema_version": 9},
        {"keys": BODY.keys[:-1]},
        {"keys": BODY.keys[::-1]},
        {"keys": [BODY.keys[0], BODY.keys[0], BODY.keys[2]]},
        {"cards": BODY.cards[:-1]},
        {"cards": [*BODY.cards, MALLORY.card]},
        {"cards": [*BODY.cards[:-1], BODY.cards[0]]},
        {"changes": BODY.changes[:-1]},
        {"writer": address_bytes(ALICE.address)},
        {"signature": parse_body(FIRST.body).signature},
    ],
    ids="-".join,
)
def test_nothing_of_a_document_can_be_changed(fields: dict[str, Any]) -> None:
    assert refusal(altered(SECOND, **fields), FIRST, BOB) in {"writer", "members"}
    with pytest.raises(Refused):
        verified(parse_body(altered(SECOND, **fields).body))


def test_a_card_with_another_key_is_refused_although_an_owner_signed_for_it() -> None:
    """An owner who gives a member's address a key of the owner's own would read in the member's name."""
    forged = MemberCard(member=BOB.card.member, key=MALLORY.card.key, signature=BOB.card.signature)
    stolen = Person(BOB.secret, MALLORY.key, forged)
    changes = with_role(founded(), stolen, Role.VIEWER)
    document = written(ALICE, b"x", NOTHING, changes, cards=[ALICE.card, forged])
    assert refusal(document, NOTHING, ALICE) == "members"


def test_a_provider_cannot_put_a_state_of_its_own_in() -> None:
    unsigned = BODY.model_copy(update={"sealed": bytes(40)})
    who, signature = sign_statement(MALLORY.secret, lambda address: "anything")
    for writer in (who, BOB.address):
        forged = unsigned.model_copy(update={"writer": address_bytes(writer), "signature": signature})
        with pytest.raises(Refused):
            verified(forged)


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(RemoteProtocolError, match="over"):
        parse_body(bytes(MAX_BODY + 1))
    with pytest.raises(BadInput, match="more than"):
        written(ALICE, bytes(MAX_CONTENT + 1))
    assert len(written(ALICE, bytes(MAX_CONTENT)).body) < MAX_BODY


def test_a_full_team_with_a_full_history_of_changes_fits() -> None:
    change = encode(TEAM[0])
    card, key = encode(ALICE.card), hpke.OVERHEAD + 32 + 40
    assert 256 * (len(change) + 3) + 32 * (len(card) + key) + MAX_CONTENT + 4096 < MAX_BODY


@given(st.binary(max_size=200))
def test_any_bytes_are_a_body_or_a_protocol_error(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_body(raw)


@given(place=st.integers(0, len(SECOND.body) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, flip: int) -> None:
    raw = bytearray(SECOND.body)
    raw[place] ^= flip
    with pytest.raises(TrustedPodsError):
        take(Document(SECOND.generation, bytes(raw)), FIRST, BOB)


@pytest.mark.parametrize("model", [SealedBody, MemberChange, MemberCard], ids=lambda model: model.__name__)
@given(data=st.data())
def test_round_trip(model: type[MemberCard], data: st.DataObject) -> None:
    if model is SealedBody:
        fields = {"cards": data.draw(st.lists(messages(MemberCard), min_size=1, max_size=3))}
        message: Any = BODY.model_copy(update=fields)
    else:
        message = data.draw(messages(model))
    assert decode(encode(message), model) == message


def test_the_form_of_a_body_stays_as_it_is() -> None:
    """Frozen: what stands in clusters must stay readable."""
    assert sorted(SealedBody.model_fields) == [
        "cards", "changes", "epoch", "founder", "generation", "keys", "kind", "name", "schema_version",
        "sealed", "signature", "writer",
    ]  # fmt: skip
    assert BODY.network == NETWORK
