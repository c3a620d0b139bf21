# SPDX-License-Identifier: Apache-2.0
"""The host's certificate table: whatever it says, only what is plainly right is taken."""

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.tee.certificates import MAX_CERTIFICATE, MAX_ROWS, VCEK, VLEK, parse

ARK = uuid.UUID("c0b406a4-a803-4952-9743-3fb6014cd0ae")
ROW = struct.Struct("<16sII")


def row(kind, start, length):
    return ROW.pack(kind.bytes_le, start, length)


def table(*rows, content=b"", end=bytes(24)):
    return b"".join(row(*one) for one in rows) + end + content


def test_an_empty_table_has_no_certificates():
    assert parse(b"") == {}
    assert parse(bytes(24)) == {}


def test_what_a_real_host_hands_in():
    raw = table((VCEK, 72, 4), (ARK, 76, 3), content=b"vcekark")
    assert parse(raw) == {VCEK: b"vcek", ARK: b"ark"}


def test_guids_are_in_their_mixed_byte_order():
    assert VCEK.bytes_le[:4] == bytes.fromhex("8d75da63")


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (table((VCEK, 48, 5), content=b"vcek"), "ends at"),
        (table((VCEK, 0xFFFFFFFF, 0xFFFFFFFF), content=b"vcek"), "ends at"),
        (table((VCEK, 48, 0), content=b"vcek"), "has 0 bytes"),
        (table((VCEK, 48, MAX_CERTIFICATE + 1), content=bytes(MAX_CERTIFICATE + 1)), "bytes"),
        (table((VCEK, 0, 4), content=b"vcek"), "overlaps"),
        (table((VCEK, 47, 4), content=b"vcek"), "overlaps"),
        (table((VCEK, 72, 4), (ARK, 75, 4), content=b"vcekark"), "overlaps"),
        (table((VCEK, 75, 4), (ARK, 72, 4), content=b"vcekark"), "overlaps"),
        (table((VCEK, 72, 7), (ARK, 73, 2), content=b"vcekark"), "overlaps"),
        (table((VCEK, 72, 4), (ARK, 72, 4), content=b"vcekark"), "overlaps"),
        (table((VCEK, 72, 4), (VCEK, 76, 3), content=b"vcekark"), "twice"),
        (table((VCEK, 72, 4), end=b"", content=b""), "no end"),
        (table((VCEK, 72, 4), end=bytes(23)), "no end"),
        (b"\0", "no end"),
        (b"\xff" * 24 * (MAX_ROWS + 2), "rows"),
    ],
    ids=range(15),
)
def test_a_false_table_is_an_error(raw, what):
    with pytest.raises(BadInput, match=what):
        parse(raw)


def test_as_many_rows_as_fit():
    kinds = [uuid.UUID(int=number + 1) for number in range(MAX_ROWS)]
    first = (MAX_ROWS + 1) * 24
    raw = table(*[(kind, first + at, 1) for at, kind in enumerate(kinds)], content=bytes(MAX_ROWS))
    assert len(parse(raw)) == MAX_ROWS
    more = [*kinds, uuid.UUID(int=99)]
    raw = table(*[(kind, first + 24 + at, 1) for at, kind in enumerate(more)], content=bytes(MAX_ROWS + 1))
    with pytest.raises(BadInput, match="rows"):
        parse(raw)


def test_a_certificate_as_large_as_allowed():
    content = bytes(MAX_CERTIFICATE)
    assert parse(table((VLEK, 48, MAX_CERTIFICATE), content=content)) == {VLEK: content}


@given(st.binary(max_size=2000))
def test_any_bytes_are_a_table_or_an_error(raw):
    try:
        found = parse(raw)
    except BadInput:
        return
    assert sum(map(len, found.values())) <= len(raw)
