# SPDX-License-Identifier: Apache-2.0
"""Invitations: signed by who signed the export in them, for one guest."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.protocol.networks.owners.documents import CARRIED, export, invitation
from tests.protocol.networks.team import ALICE, AT, BOB, MALLORY
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.networks.owners.invitations import (
    MAX_INVITATION,
    Invitation,
    read_invitation,
    signed_invitation,
)

ONE = invitation(files=CARRIED)
DATA = encode(ONE)


def test_an_invitation_comes_back_and_two_are_never_the_same() -> None:
    assert read_invitation(DATA) == ONE
    assert invitation(files=CARRIED).digest != ONE.digest
    light = ONE.model_copy(update={"export": ONE.export.without_files})
    assert light.digest == ONE.digest, "files may be left out on the way"


@pytest.mark.parametrize("field", ["expires", "nonce", "export"])
def test_what_was_changed_afterwards_is_refused(field: str) -> None:
    other = {"expires": AT + 999, "nonce": bytes(16), "export": export(to=BOB.card.member, generation=9)}
    forged = Invitation.model_validate(ONE.model_dump() | {field: other[field]})
    with pytest.raises(Refused) as caught:
        read_invitation(encode(forged))
    assert caught.value.rule == "invitation"


def test_nobody_invites_for_another_or_himself() -> None:
    stolen = signed_invitation(MALLORY.secret, ONE.export, BOB.address, AT + 5)
    with pytest.raises(Refused) as caught:
        read_invitation(encode(stolen))
    assert caught.value.rule == "invitation"
    with pytest.raises(ValidationError, match="himself"):
        signed_invitation(ALICE.secret, export(to=ALICE.card.member), ALICE.address, AT)
    with pytest.raises(ValidationError, match="for its guest"):
        signed_invitation(ALICE.secret, export(), BOB.address, AT)


@given(place=st.integers(0, len(DATA) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, flip: int) -> None:
    raw = bytearray(DATA)
    raw[place] ^= flip
    with pytest.raises((Refused, RemoteProtocolError)):
        read_invitation(bytes(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_invitation_or_a_protocol_error(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read_invitation(raw)


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(RemoteProtocolError, match="over"):
        read_invitation(bytes(MAX_INVITATION + 1))
