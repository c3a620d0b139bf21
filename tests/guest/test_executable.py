# SPDX-License-Identifier: Apache-2.0
"""The hash by which firmware knows an EFI program."""

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.guest.image_files import kernel
from trustedpods.guest.executable import authenticode
from trustedpods.protocol.errors import BadInput

OPTIONAL = 0x40 + 24


def test_all_but_the_checksum_and_the_place_of_certificates():
    data = kernel() + b"behind"
    checksum, directory = OPTIONAL + 64, OPTIONAL + 144
    kept = data[:checksum] + data[checksum + 4 : directory] + data[directory + 8 :] + bytes(-len(data) % 8)
    assert authenticode(data, "k") == hashlib.sha384(kept).digest()


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (0, "<H", 0),
        (0x3C, "<I", 0xFFFF_FFFF),
        (0x40, "<I", 0),
        (0x46, "<H", 97),
        (OPTIONAL, "<H", 0x10B),
        (OPTIONAL + 60, "<I", 0x10000),
        (OPTIONAL + 60, "<I", 10),
        (OPTIONAL + 148, "<I", 1),
        (OPTIONAL + 0xA0 + 16, "<I", 0xFFFF_FFFF),
        (OPTIONAL + 0xA0 + 20, "<I", 0x100),
    ],
)
def test_programs_that_are_damaged(at, form, value):
    data = bytearray(kernel())
    struct.pack_into(form, data, at, value)
    with pytest.raises(BadInput, match="not an EFI program"):
        authenticode(bytes(data), "k")


@given(st.binary(max_size=600))
def test_anything_else_is_refused(data):
    with pytest.raises(BadInput):
        authenticode(data, "k")
    with pytest.raises(BadInput):
        authenticode(b"MZ" + data, "k")
