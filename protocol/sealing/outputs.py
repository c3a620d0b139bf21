# SPDX-License-Identifier: Apache-2.0
"""Replies behind one that named a key: sealed with that key alone, in order, as input is the other way.

A reply is sealed to the request's key and signed, which costs half a millisecond at its two ends; one that
carries 64 KiB would cost more for that than for its bytes. So the first reply of a conversation that carries
bytes names a key. It was made for this request, and went sealed and signed: only the attested machine and
who asked have it. What follows is AES-256-GCM; the nonce is the message's number, from 0 on, and the
additional data has the digest of the request and whether more follows: none can be changed, dropped from the
middle, repeated, or moved to another request, and no end is made up.

    u8, 1 for the last message and else 0 | ciphertext, then its tag of 16 bytes
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.base import Message

_TAG: Final = b"trusted-pods/output/v1\0"

NONCE_BYTES: Final = 12


class OutputSealer:
    """Seals the messages of one request."""

    def __init__(self, key: bytes, request_digest: bytes) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._number = 0

    def seal(self, message: Message, *, final: bool = False) -> bytes:
        """The next message; *final* says that none follows."""
        nonce = self._number.to_bytes(NONCE_BYTES, "big")
        self._number += 1
        mark = bytes([final])
        return mark + self._cipher.encrypt(nonce, encode(message), self._about + mark)


class OutputOpener:
    """Opens them in their order."""

    def __init__(self, key: bytes, request_digest: bytes) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._number = 0

    def open(self, sealed: bytes) -> tuple[bytes, bool]:
        """The next coded message, and whether it is the last; RemoteProtocolError for any other."""
        nonce = self._number.to_bytes(NONCE_BYTES, "big")
        self._number += 1
        mark = sealed[:1]
        try:
            plain = self._cipher.decrypt(nonce, memoryview(sealed)[1:], self._about + mark)
        except InvalidTag as error:
            raise RemoteProtocolError(
                "output that this request's key does not open", rule="output-seal"
            ) from error
        return plain, mark == b"\1"
