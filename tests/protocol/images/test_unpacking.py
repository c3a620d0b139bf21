# SPDX-License-Identifier: Apache-2.0
"""Streams in pieces of any size give what they were made of, and bounded pieces of it."""

import gzip
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.images.image_parts import zstd
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.unpacking import PIECE, unpacker

PLAIN = b"".join(n.to_bytes(4, "big") for n in range(40_000))
PACKED = {
    "": PLAIN,
    "gzip": gzip.compress(PLAIN[:99]) + gzip.compress(PLAIN[99:]),
    "zstd": zstd(PLAIN[:99]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd(PLAIN[99:]),
}


def unpacked(packing, data, piece):
    reader, found = unpacker(packing), []
    for at in range(0, len(data), piece):
        found += reader.feed(data[at : at + piece])
    reader.finish()
    assert all(len(part) <= PIECE for part in found)
    return b"".join(found)


@pytest.mark.parametrize("packing", PACKED)
@given(piece=st.integers(1, 70_000))
def test_pieces_of_any_size(packing, piece):
    piece = max(piece, len(PACKED[packing]) // 500)
    assert unpacked(packing, PACKED[packing], piece) == PLAIN


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_much_of_little_comes_in_bounded_pieces(packing):
    zeros = bytes(40 * PIECE)
    packed = gzip.compress(zeros) if packing == "gzip" else zstd(zeros)
    assert unpacked(packing, packed, len(packed)) == zeros


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
@pytest.mark.parametrize(
    "damage", [lambda d: d[:-5], lambda d: d + b"rest", lambda d: b"x" + d, lambda _: b""]
)
def test_damage_is_refused(packing, damage):
    data = damage(PACKED[packing])
    with pytest.raises(BadInput, match="not what its type says"):
        unpacked(packing, data, len(data) or 1)


def test_a_window_that_asks_for_too_much_memory_is_refused():
    long = subprocess.run(
        ["zstd", "-q", "-c", "--ultra", "--long=30"], input=bytes(1 << 20), capture_output=True, check=True
    ).stdout
    frame = bytearray(long)
    frame[4:6] = b"\x00\xb8"  # a window of 2^33 bytes, and no size of the content
    with pytest.raises(BadInput):
        unpacked("zstd", bytes(frame), 100)
