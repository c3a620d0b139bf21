# SPDX-License-Identifier: Apache-2.0
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.paths import VECTORS
from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import BLOB_CHUNK, MAX_BLOB_SIZE
from trustedpods.protocol.sealing import blobs

VECTOR = VECTORS / "blobs.json"
SECRET = bytes(range(32))
DIGEST = "sha256:" + hashlib.sha256(b"layer").hexdigest()
FULL = bytes(BLOB_CHUNK)


def _key(secret: bytes = SECRET, digest: str = DIGEST) -> bytes:
    return blobs.derive(secret, digest)[1]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_ids_and_keys_differ_between_publishers_and_between_layers(one: bytes, other: bytes):
    first, again = blobs.derive(one, DIGEST), blobs.derive(one, DIGEST)
    assert first == again
    assert first[0] != first[1]
    other_layer = blobs.derive(one, "sha256:" + hashlib.sha256(other).hexdigest())
    assert len({*first, *other_layer}) == 4
    if one != other:
        assert not set(first) & set(blobs.derive(other, DIGEST))


@given(st.binary(min_size=1, max_size=2000), st.integers(0, 5))
def test_the_last_chunk_round_trips_at_its_place(plaintext: bytes, index: int):
    sealed = blobs.seal_chunk(_key(), index, index + 1, plaintext)
    assert len(sealed) == len(plaintext) + blobs.TAG_BYTES
    assert sealed == blobs.seal_chunk(_key(), index, index + 1, plaintext)
    assert blobs.open_chunk(_key(), index, index + 1, sealed) == plaintext


@pytest.mark.parametrize("size", [0, 1, BLOB_CHUNK - 1, BLOB_CHUNK, BLOB_CHUNK + 1, 2 * BLOB_CHUNK])
def test_a_whole_blob_round_trips(size: int):
    plaintext = bytes(i * 7 % 251 for i in range(1000)) * (size // 1000 + 1)
    plaintext = plaintext[:size]
    total = blobs.chunk_count(size)
    pieces = [plaintext[i * BLOB_CHUNK : (i + 1) * BLOB_CHUNK] for i in range(total)]
    sealed = [blobs.seal_chunk(_key(), i, total, piece) for i, piece in enumerate(pieces)]
    assert b"".join(blobs.open_chunk(_key(), i, total, s) for i, s in enumerate(sealed)) == plaintext
    assert sum(map(len, sealed)) == blobs.sealed_size(size)


def test_reordered_chunks_are_refused():
    second = blobs.seal_chunk(_key(), 1, 3, FULL)
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), 0, 3, second)


def test_truncation_is_refused():
    """The second of three cannot end a blob of two."""
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), 1, 2, blobs.seal_chunk(_key(), 1, 3, FULL))


def test_extension_is_refused():
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), 1, 3, blobs.seal_chunk(_key(), 1, 2, FULL))


def test_a_chunk_of_another_blob_is_refused():
    other = _key(digest="sha256:" + hashlib.sha256(b"another").hexdigest())
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), 0, 1, blobs.seal_chunk(other, 0, 1, b"x"))


def test_the_key_is_bound_into_each_chunk():
    """AES-GCM alone does not commit to its key."""
    key, other = _key(), _key(secret=bytes(32))
    assert blobs._bound(key, 0, 1) != blobs._bound(other, 0, 1)


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject):
    sealed = bytearray(blobs.seal_chunk(_key(), 0, 1, b"plaintext"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), 0, 1, bytes(sealed))


@given(st.binary(max_size=100), st.integers(-2, 4), st.integers(-2, 4))
def test_arbitrary_chunks_are_a_remote_protocol_error(sealed: bytes, index: int, total: int):
    with pytest.raises(RemoteProtocolError):
        blobs.open_chunk(_key(), index, total, sealed)


@pytest.mark.parametrize(
    ("index", "total", "size"),
    [(0, 2, 5), (0, 1, BLOB_CHUNK + 1), (1, 2, 0), (1, 1, 1), (-1, 1, 1), (0, 0, 0)],
)
def test_a_chunk_of_the_wrong_size_is_our_own_fault(index: int, total: int, size: int):
    with pytest.raises(LocalProtocolError):
        blobs.seal_chunk(_key(), index, total, bytes(size))


@pytest.mark.parametrize("size", [-1, MAX_BLOB_SIZE + 1])
def test_a_blob_outside_the_limits_is_our_own_fault(size: int):
    with pytest.raises(LocalProtocolError):
        blobs.chunk_count(size)


def test_frozen_vector():
    vector = json.loads(VECTOR.read_text())
    blob_id, key = blobs.derive(bytes.fromhex(vector["secret"]), vector["digest"])
    assert (blob_id.hex(), key.hex()) == (vector["blob_id"], vector["key"])
    plaintext = bytes(vector["first_chunk_zero_bytes"])
    first = blobs.seal_chunk(key, 0, 2, plaintext)
    assert hashlib.sha256(first).hexdigest() == vector["first_chunk_sealed_sha256"]
    last = blobs.seal_chunk(key, 1, 2, vector["last_chunk_text"].encode())
    assert last.hex() == vector["last_chunk_sealed"]
    assert blobs.seal_chunk(key, 0, 1, b"").hex() == vector["empty_blob_sealed"]
