# SPDX-License-Identifier: Apache-2.0
"""Backups: whose they are is signed, what is in them is verified, and nothing is opened for it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.networks.team import ALICE, AT, BOB, CAROL, MALLORY, read, written
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.networks.backups import MAX_BACKUP, Backup, read_backup, to_backup

ONE = written(BOB, b"one")
FILE = to_backup(CAROL.secret, ONE, AT)


def test_a_viewer_may_take_a_backup_and_it_comes_back_whole() -> None:
    backup = read_backup(FILE)
    assert (backup.document, backup.at, backup.by) == (ONE, AT, CAROL.card.member)
    assert read(backup.document, ALICE) == b"one"


def test_who_is_no_member_makes_none() -> None:
    with pytest.raises(Refused) as caught:
        read_backup(to_backup(MALLORY.secret, ONE, AT))
    assert caught.value.rule == "backup"


@pytest.mark.parametrize("field", ["at", "by", "body"])
def test_what_was_changed_afterwards_is_refused(field: str) -> None:
    other = {"at": AT + 1, "by": ALICE.card.member, "body": written(BOB, b"two").body}
    changed = Backup.model_validate(read_backup(FILE).model_dump() | {field: other[field]})
    with pytest.raises(Refused) as caught:
        read_backup(encode(changed))
    assert caught.value.rule == "backup"


def test_what_is_too_large_is_not_read() -> None:
    with pytest.raises(RemoteProtocolError, match="over"):
        read_backup(bytes(MAX_BACKUP + 1))


@given(place=st.integers(0, len(FILE) - 1), flip=st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, flip: int) -> None:
    raw = bytearray(FILE)
    raw[place] ^= flip
    with pytest.raises((Refused, RemoteProtocolError)):
        read_backup(bytes(raw))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_backup_or_a_protocol_error(raw: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        read_backup(raw)
