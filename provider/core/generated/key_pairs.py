# SPDX-License-Identifier: Apache-2.0
"""Pairs of keys that are made for a pod: the private one as a file, the public one for others. Pure."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

PodKey = Ed25519PrivateKey | X25519PrivateKey | ec.EllipticCurvePrivateKey

KEY_BYTES = 32
"""Of a private key of each type."""

MAX_KEY_FILE = 4096
"""Bytes of a file that may hold a private key; one of 32 bytes has 250 as PEM."""

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"p256": ec.SECP256R1(), "secp256k1": ec.SECP256K1()}

_HEX = re.compile(rb"(?:0x)?([0-9a-fA-F]{64})")


def made_key(key_type: str, random: Callable[[int], bytes]) -> PodKey:
    """A key of *key_type* from *random* bytes."""
    while True:
        key = _from_raw(key_type, random(KEY_BYTES))
        if key is not None:  # on curves some numbers are none: of p256 one of 2^32
            return key


def private_key(content: bytes, key_type: str) -> PodKey | None:
    """The key of *key_type* that a file has in any of the encodings; None where it has none."""
    text = content.strip()
    if len(content) > MAX_KEY_FILE:
        return None
    if text.startswith(b"-----BEGIN "):
        return _from_pem(text, key_type)
    if (digits := _HEX.fullmatch(text)) is not None:
        return _from_raw(key_type, bytes.fromhex(digits[1].decode()))
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return _from_raw(key_type, raw) if len(raw) == KEY_BYTES else None


def private_file(key: PodKey, encoding: str) -> bytes:
    """The private key as the pod's programs read it: `hex`, `base64` or `pem`; only the last ends a line."""
    if encoding == "pem":
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        raw = key.private_numbers().private_value.to_bytes(KEY_BYTES, "big")
    else:
        raw = key.private_bytes_raw()
    return raw.hex().encode() if encoding == "hex" else base64.b64encode(raw)


def public_key(key: PodKey) -> bytes:
    """The public half as a SubjectPublicKeyInfo in DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _from_raw(key_type: str, raw: bytes) -> PodKey | None:
    if key_type == "ed25519":
        return Ed25519PrivateKey.from_private_bytes(raw)
    if key_type == "x25519":
        return X25519PrivateKey.from_private_bytes(raw)
    try:
        return ec.derive_private_key(int.from_bytes(raw, "big"), _CURVES[key_type])
    except ValueError:
        return None


def _from_pem(text: bytes, key_type: str) -> PodKey | None:
    try:
        key = load_pem_private_key(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        curve = _CURVES.get(key_type)
        return key if curve is not None and key.curve.name == curve.name else None
    if isinstance(key, Ed25519PrivateKey):
        return key if key_type == "ed25519" else None
    return key if isinstance(key, X25519PrivateKey) and key_type == "x25519" else None
