# SPDX-License-Identifier: Apache-2.0
"""A stream of bytes as sealed chunks, and the index that says what belongs together.

The key of each stream comes from the publisher's secret and 32 random bytes that only the index has: a
stream opens under its own index and no other. A chunk is AES-256-GCM over `CHUNK` bytes; its nonce is its
number, its additional data says whether it is the last. So none can be changed, cut off, added, swapped or
repeated. The index is sealed under the name of its pod and of its backup, and so belongs to no other.
"""

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB

CHUNK = 1 * MIB
"""Bytes of each chunk but the last: a chunk is held in memory whole, and costs 16 bytes more."""

TAG_BYTES = 16
SEALED_CHUNK = CHUNK + TAG_BYTES
SALT_BYTES = 32
_NONCE_BYTES = 12

_STREAM_TAG = b"trusted-pods/backup-stream/v1\0"
_INDEX_TAG = b"trusted-pods/backup-index/v1\0"


def sealed_size(size: int) -> int:
    """Bytes of the sealed chunks of a stream of *size* bytes; an empty one is one empty chunk."""
    return size + max(1, -(-size // CHUNK)) * TAG_BYTES


class StreamSealer:
    """Seals one stream of any length, piece by piece."""

    def __init__(self, secret: bytes) -> None:
        self.salt = os.urandom(SALT_BYTES)
        self._cipher = _cipher(secret, _STREAM_TAG + self.salt)
        self._waiting = bytearray()
        self._number = 0

    def add(self, data: bytes) -> bytes:
        """The sealed chunks that *data* completes: the last bytes wait, as they may end the stream."""
        self._waiting += data
        sealed = bytearray()
        while len(self._waiting) > CHUNK:
            sealed += self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return bytes(sealed)

    def end(self) -> bytes:
        """The last chunk; nothing can be added after it."""
        return self._seal(bytes(self._waiting), last=True)

    def _seal(self, plain: bytes, *, last: bool) -> bytes:
        self._number += 1
        return self._cipher.encrypt(_nonce(self._number), plain, bytes([last]))


class StreamOpener:
    """Opens the chunks of one stream in their order."""

    def __init__(self, secret: bytes, salt: bytes) -> None:
        self._cipher = _cipher(secret, _STREAM_TAG + salt)
        self._number = 0

    def open(self, sealed: bytes, *, last: bool) -> bytes:
        """The next chunk's bytes; BadInput for anything but the chunk that was sealed for this place."""
        self._number += 1
        try:
            return self._cipher.decrypt(_nonce(self._number), sealed, bytes([last]))
        except InvalidTag:
            raise BadInput(f"chunk {self._number} is damaged, or belongs elsewhere") from None


def seal_index(secret: bytes, place: str, plain: bytes) -> bytes:
    """An index for *place*, the name of its pod and of its backup."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(secret, _INDEX_TAG).encrypt(nonce, plain, place.encode())


def open_index(secret: bytes, place: str, sealed: bytes) -> bytes:
    """What `seal_index` sealed; BadInput for another key, another place and any other bytes."""
    nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    if len(rest) < TAG_BYTES:
        raise BadInput("it is cut short")
    try:
        return _cipher(secret, _INDEX_TAG).decrypt(nonce, rest, place.encode())
    except InvalidTag:
        raise BadInput("it does not open with this key, or is damaged, or belongs elsewhere") from None


def _cipher(secret: bytes, about: bytes) -> AESGCM:
    return AESGCM(hmac.digest(secret, about, "sha256"))


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE_BYTES, "big")
