# SPDX-License-Identifier: Apache-2.0
"""HPKE (RFC 9180) with one fixed suite: what is sealed today stays closed for a quantum computer.

Keys are the concatenation of their halves, ML-KEM-768 first, as in X-Wing: 1184 + 32 bytes public,
64 (a seed) + 32 bytes private.
"""

from typing import Final, Self

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError

SUITE_ID: Final = "MLKEM768-X25519/HKDF-SHA256/AES-256-GCM"
"""Name of the suite, as bound into report_data; another suite is another name."""

MLKEM_PUBLIC_BYTES: Final = 1184
MLKEM_SEED_BYTES: Final = 64
X25519_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = MLKEM_PUBLIC_BYTES + X25519_BYTES
PRIVATE_KEY_BYTES: Final = MLKEM_SEED_BYTES + X25519_BYTES
OVERHEAD: Final = KEM.MLKEM768_X25519.enc_length() + 16
"""Bytes by which a sealed message is longer than its plaintext: the encapsulated key and the tag."""

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class PrivateKey:
    """A key that opens what was sealed to its public half."""

    __slots__ = ("_key", "_mlkem", "_x25519")

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._mlkem = mlkem
        self._x25519 = x25519
        self._key = MLKEM768X25519PrivateKey(mlkem, x25519)

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, raw: bytes) -> Self:
        """The key that `to_bytes` wrote; LocalProtocolError when it has another length."""
        if len(raw) != PRIVATE_KEY_BYTES:
            raise LocalProtocolError(f"a private HPKE key has {PRIVATE_KEY_BYTES} bytes, not {len(raw)}")
        seed, scalar = raw[:MLKEM_SEED_BYTES], raw[MLKEM_SEED_BYTES:]
        return cls(MLKEM768PrivateKey.from_seed_bytes(seed), X25519PrivateKey.from_private_bytes(scalar))

    def to_bytes(self) -> bytes:
        """The secret itself, for storage that is memory only."""
        return self._mlkem.private_bytes_raw() + self._x25519.private_bytes_raw()

    @property
    def public_bytes(self) -> bytes:
        """The public half, as it travels."""
        return self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext; RemoteProtocolError unless it was sealed to this key with this *info*."""
        if len(sealed) < OVERHEAD:
            raise RemoteProtocolError(f"{len(sealed)} bytes are too few for a sealed message", rule="sealed")
        try:
            return _SUITE.decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError) as error:
            raise RemoteProtocolError(
                "cannot open what was sealed: other key, other context, or changed on the way", rule="sealed"
            ) from error


def _public_key(raw: bytes) -> MLKEM768X25519PublicKey:
    if len(raw) != PUBLIC_KEY_BYTES:
        raise RemoteProtocolError(
            f"a public HPKE key has {PUBLIC_KEY_BYTES} bytes, not {len(raw)}", rule="hpke-key"
        )
    mlkem, x25519 = raw[:MLKEM_PUBLIC_BYTES], raw[MLKEM_PUBLIC_BYTES:]
    try:
        return MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(mlkem), X25519PublicKey.from_public_bytes(x25519)
        )
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RemoteProtocolError(f"not a public HPKE key: {error}", rule="hpke-key") from error


def check_public(public: bytes) -> None:
    """RemoteProtocolError unless *public* is a well-formed public key."""
    _public_key(public)


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal *plaintext* to *public*; *info* is the context that `open` must repeat.

    RemoteProtocolError when *public*, which came from the other side, is no key.
    """
    key = _public_key(public)
    try:
        return _SUITE.encrypt(plaintext, key, info)
    except ValueError as error:  # a low-order X25519 point
        raise RemoteProtocolError(f"cannot seal to this key: {error}", rule="hpke-key") from error
