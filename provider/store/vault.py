# SPDX-License-Identifier: Apache-2.0
"""Seals texts in the database with a key that is only in memory: after a reboot they are gone."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_INFO = b"trusted-pods/store-text/v1"
_NONCE_BYTES = 12
LOST_TEXT = "(sealed by an earlier boot of this machine)"


class Vault:
    """Seals and opens small values; *secret* is one of the machine's memory-only keys."""

    __slots__ = ("_aead",)

    def __init__(self, secret: bytes) -> None:
        key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO).derive(secret)
        self._aead = AESGCM(key)

    def seal(self, plain: bytes) -> bytes:
        """Ciphertext that only this boot of the machine opens."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plain, None)

    def open(self, sealed: bytes) -> bytes | None:
        """The plaintext, or None when it was sealed by another boot."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            return None

    def seal_text(self, text: str) -> bytes:
        """As `seal`, for text."""
        return self.seal(text.encode())

    def open_text(self, sealed: bytes) -> str:
        """The text, or a note that an earlier boot sealed it."""
        plain = self.open(sealed)
        return LOST_TEXT if plain is None else plain.decode()
