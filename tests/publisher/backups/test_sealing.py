# SPDX-License-Identifier: Apache-2.0
"""The format of backups: what was sealed comes back, and no chunk is taken at another place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.backups.sealing import (
    CHUNK,
    SEALED_CHUNK,
    StreamOpener,
    StreamSealer,
    open_index,
    seal_index,
    sealed_size,
)

SECRET = b"s" * 32
SIZES = st.sampled_from([0, 1, 511, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7])


def sealed(size, pieces=1):
    """A stream of so many bytes, handed over in so many pieces; and the bytes."""
    plain = bytes(number % 251 for number in range(size))
    sealer, step = StreamSealer(SECRET), max(1, size // pieces)
    out = b"".join(sealer.add(plain[start : start + step]) for start in range(0, size, step))
    return sealer.salt, out + sealer.end(), plain


def opened(salt, stream, secret=SECRET):
    opener, chunks = StreamOpener(secret, salt), range(0, max(1, len(stream)), SEALED_CHUNK)
    return b"".join(
        opener.open(stream[start : start + SEALED_CHUNK], last=start == chunks[-1]) for start in chunks
    )


@given(SIZES, st.integers(1, 5))
def test_what_was_sealed_comes_back(size, pieces):
    salt, stream, plain = sealed(size, pieces)
    assert len(stream) == sealed_size(size)
    assert opened(salt, stream) == plain


@given(SIZES, st.data())
def test_a_changed_byte_is_found(size, data):
    salt, stream, _ = sealed(size)
    at = data.draw(st.integers(0, len(stream) - 1))
    with pytest.raises(BadInput):
        opened(salt, stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1 :])


THREE = sealed(2 * CHUNK + 7)
FIRST, SECOND, LAST = (
    THREE[1][start : start + SEALED_CHUNK] for start in (0, SEALED_CHUNK, 2 * SEALED_CHUNK)
)


@pytest.mark.parametrize(
    "stream",
    [b"", FIRST, FIRST + SECOND, SECOND + FIRST + LAST, FIRST + FIRST + LAST, FIRST + LAST, THREE[1] + LAST],
    ids=["nothing", "one chunk", "no end", "swapped", "repeated", "one left out", "more after the end"],
)
def test_no_chunk_opens_elsewhere(stream):
    with pytest.raises(BadInput):
        opened(THREE[0], stream)


def test_a_stream_of_another_index_or_another_key():
    salt, stream, _ = sealed(100)
    for other in (lambda: opened(THREE[0], stream), lambda: opened(salt, stream, b"t" * 32)):
        with pytest.raises(BadInput):
            other()


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_an_index_belongs_to_its_place(plain, noise):
    found = seal_index(SECRET, "redis/1", plain)
    assert open_index(SECRET, "redis/1", found) == plain
    for secret, place, data in (
        (b"t" * 32, "redis/1", found),
        (SECRET, "redis/2", found),
        (SECRET, "redis/1", noise),
    ):
        with pytest.raises(BadInput):
            open_index(secret, place, data)
