# SPDX-License-Identifier: Apache-2.0
"""Replies behind one that named a key: sealed with that key alone, in order, as input is the other way.

A reply is sealed to the request's key and signed, which costs half a millisecond at its two ends; one that
carries 64 KiB would cost more for that than for its bytes. So the first reply of a conversation that carries
bytes names a key. It was made for this request, and went sealed and signed: only the attested machine and
who asked have it. What follows is AES-256-GCM; the nonce is the message's number, from 0 on, and the
additional data has the digest of the request and whether more follows: none can be changed, dropped from the
middle, repeated, or moved to another request, and no end is made up. A stream that ends without a last
message was cut: that is for its reader to say.

    u8, 1 for the last message and else 0 | ciphertext, then its tag of 16 bytes
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import Message

_TAG: Final = b"trusted-pods/output/v1\0"

NONCE_BYTES: Final = 12

MAX_SEALED: Final = 128 * KIB
"""Bytes of a sealed message: 64 KiB of a connection, or an error whose texts are as long as they may be."""

MAX_MESSAGES: Final = 1 << 32
"""Messages by one key, within what AES-GCM bears; twelve hours of a port-forward would be 99,000 a second."""


class _Nonces:
    """Of one key: each once. LocalProtocolError behind the last that it may have."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._number = 0

    def next(self) -> bytes:
        if self._number >= self._most:
            raise LocalProtocolError(f"one key seals {self._most} messages and no more")
        self._number += 1
        return (self._number - 1).to_bytes(NONCE_BYTES, "big")


class OutputSealer:
    """Seals the messages of one request. LocalProtocolError behind *most* of them."""

    def __init__(self, key: bytes, request_digest: bytes, most: int = MAX_MESSAGES) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._nonces = _Nonces(most)

    def seal(self, message: Message, *, final: bool = False) -> bytes:
        """The next message; *final* says that none follows."""
        coded, mark = encode(message), bytes([final])
        return mark + self._cipher.encrypt(self._nonces.next(), coded, self._about + mark)


class OutputOpener:
    """Opens them in their order, and nothing behind the last."""

    def __init__(self, key: bytes, request_digest: bytes, most: int = MAX_MESSAGES) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._nonces = _Nonces(most)
        self._ended = False

    def open(self, sealed: bytes) -> tuple[bytes, bool]:
        """The next coded message, and whether it is the last; RemoteProtocolError for any other."""
        if self._ended:
            raise RemoteProtocolError("output behind the last of this request", rule="output-seal")
        mark = sealed[:1]
        try:
            plain = self._cipher.decrypt(self._nonces.next(), memoryview(sealed)[1:], self._about + mark)
        except InvalidTag as error:
            raise RemoteProtocolError(
                "output that this request's key does not open", rule="output-seal"
            ) from error
        self._ended = mark == b"\1"
        return plain, self._ended
