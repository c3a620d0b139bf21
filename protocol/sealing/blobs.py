# SPDX-License-Identifier: Apache-2.0
"""Image layers as encrypted chunks: resumable, and stored once per publisher.

A blob's id and key come from the publisher's secret and the digest of its plaintext. The same
layer of the same publisher is therefore the same ciphertext under the same id, and need not be
sent twice; another publisher's copy of the same public layer has another id and another key, so
nobody can ask a provider whether somebody else runs it.

A chunk is AES-256-GCM over up to `limits.BLOB_CHUNK` bytes. Its nonce is its index; its
additional data names the blob (by a digest of its key), the number of chunks, the index, and
whether it is the last. A chunk opens only at its own place in its own blob of its own length, so
cut, swapped, repeated and foreign chunks are refused one by one, before the digest of the whole
is known.

One key seals one plaintext: seal only bytes that have the digest given to `derive`. A file that
changes between hashing and sealing would use a nonce twice; whoever seals reads from a file
that nobody writes, or from the copy that was hashed.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import BLOB_CHUNK, MAX_BLOB_SIZE

KEY_BYTES = 32
TAG_BYTES = 16

SEALED_CHUNK_SIZE = BLOB_CHUNK + TAG_BYTES
"""Bytes of every sealed chunk but the last, which may be shorter."""

_ROOT_TAG = b"trusted-pods/blob-root/v1\0"
_ID_TAG = b"trusted-pods/blob-id/v1\0"
_KEY_TAG = b"trusted-pods/blob-key/v1\0"
_AAD_TAG = b"trusted-pods/blob-chunk/v1\0"
_BINDING_TAG = b"trusted-pods/blob-binding/v1\0"


def derive(secret: bytes, digest: str) -> tuple[bytes, bytes]:
    """Id and key of the blob with plaintext *digest* (`sha256:...`) under a publisher's *secret*."""
    root = hmac.digest(secret, _ROOT_TAG + digest.encode(), "sha256")
    return hmac.digest(root, _ID_TAG, "sha256"), hmac.digest(root, _KEY_TAG, "sha256")


def chunk_count(size: int) -> int:
    """Chunks of a blob of *size* plaintext bytes; an empty blob is one empty chunk.

    Raises `LocalProtocolError` outside 0..`limits.MAX_BLOB_SIZE`.
    """
    if not 0 <= size <= MAX_BLOB_SIZE:
        raise LocalProtocolError(f"a blob of {size} bytes is not between 0 and {MAX_BLOB_SIZE}")
    return max(1, -(-size // BLOB_CHUNK))


def sealed_size(size: int) -> int:
    """Bytes of all sealed chunks of a blob of *size* plaintext bytes."""
    return size + chunk_count(size) * TAG_BYTES


def seal_chunk(key: bytes, index: int, total: int, plaintext: bytes) -> bytes:
    """Seal chunk *index* (from 0) of *total*; the same arguments give the same bytes.

    Raises `LocalProtocolError` for a chunk that is not as long as its place demands.
    """
    if not _fits(index, total, len(plaintext)):
        raise LocalProtocolError(f"chunk {index} of {total} cannot have {len(plaintext)} bytes")
    return AESGCM(key).encrypt(_nonce(index), plaintext, _bound(key, index, total))


def open_chunk(key: bytes, index: int, total: int, sealed: bytes) -> bytes:
    """Plaintext of the sealed chunk at *index* of *total*.

    Raises `RemoteProtocolError` for anything but the chunk that was sealed for this place.
    """
    if len(sealed) < TAG_BYTES or not _fits(index, total, len(sealed) - TAG_BYTES):
        raise RemoteProtocolError(f"chunk {index} of {total} cannot have {len(sealed)} sealed bytes")
    try:
        return AESGCM(key).decrypt(_nonce(index), sealed, _bound(key, index, total))
    except InvalidTag:
        raise RemoteProtocolError(f"chunk {index} of {total} is not what was sealed for this place") from None


def _fits(index: int, total: int, size: int) -> bool:
    """Every chunk is full but the last, and only an empty blob has an empty one."""
    if not 0 <= index < total:
        return False
    if index < total - 1:
        return size == BLOB_CHUNK
    return 0 < size <= BLOB_CHUNK or (size == 0 and total == 1)


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")


def _bound(key: bytes, index: int, total: int) -> bytes:
    """Additional data of a chunk: its blob (named by its key), its place, and whether it ends it."""
    blob = hashlib.sha256(_BINDING_TAG + key).digest()
    last = bytes([index == total - 1])
    return _AAD_TAG + blob + total.to_bytes(8, "big") + index.to_bytes(8, "big") + last
