# SPDX-License-Identifier: Apache-2.0
"""What a client sends behind its request: sealed messages, in order, to the machine that opened it.

Their key was made for one request and travels in its sealed body, so only the attested machine can open
them and only who signed the request can make them. A message is AES-256-GCM; its nonce is its number, from
0 on, and its additional data the digest of the request: none can be changed, dropped from the middle,
repeated, or moved to another request. The last one says itself that it is.
"""

from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.exec import MAX_PIECE, ExecInput

M = TypeVar("M", bound=Message)

_TAG = b"trusted-pods/input/v1\0"

MAX_SEALED = MAX_PIECE + 1 * KIB
"""Bytes of a sealed message: its names, numbers and tag take some 60."""


class InputSealer:
    """Seals the messages of one request."""

    def __init__(self, key: bytes, request_digest: bytes) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._number = 0

    def seal(self, message: Message) -> bytes:
        """The next message."""
        nonce = self._number.to_bytes(12, "big")
        self._number += 1
        return self._cipher.encrypt(nonce, encode(message), self._about)


class InputOpener:
    """Opens them in their order."""

    def __init__(self, key: bytes, request_digest: bytes) -> None:
        self._cipher = AESGCM(key)
        self._about = _TAG + request_digest
        self._number = 0

    def open(self, sealed: bytes) -> ExecInput:
        """The next message; RemoteProtocolError (rule "input-seal") for any other."""
        return self.open_as(sealed, ExecInput)

    def open_as(self, sealed: bytes, model: type[M]) -> M:
        """The same of a request whose input is of another model."""
        nonce = self._number.to_bytes(12, "big")
        self._number += 1
        try:
            plain = self._cipher.decrypt(nonce, sealed, self._about)
        except InvalidTag as error:
            raise RemoteProtocolError(
                "input that this request's key does not open", rule="input-seal"
            ) from error
        return decode(plain, model)
