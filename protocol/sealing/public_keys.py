# SPDX-License-Identifier: Apache-2.0
"""Forms of the public key that a node is known by, as programs write them. Pure.

An identity is a SubjectPublicKeyInfo (RFC 5280) in DER, which says of which kind the key is, or plain bytes
that somebody wrote for a node outside any cluster.
"""

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from trustedpods.protocol.limits import MAX_CALLED_NODES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

IDENTITY_FORMS: Final = ("hex", "base64", "pem", "enodeId")

_UNCOMPRESSED: Final = b"\x04"
"""Before both coordinates of a point of secp256k1 (SEC 1, 2.3.3); an enode's URL leaves it out."""

_ENODE_ID: Final = 64


def is_node_key(identity: bytes) -> bool:
    """Whether it is a key of a kind that pods make, as their providers write it: in DER's one form."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - most files need no key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415 - as above

    key = _public_key(identity)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, (ec.SECP256K1, ec.SECP256R1)) and _der(key) == identity
    return isinstance(key, (Ed25519PublicKey, X25519PublicKey)) and _der(key) == identity


def is_identity(identity: bytes) -> bool:
    """Whether a book may have it: nothing, plain bytes, or a key in DER's one form.

    A key in another form would be one node's for some programs, and another's for those that compare bytes.
    """
    key = _public_key(identity) if identity else None
    return key is None or _der(key) == identity


@lru_cache(maxsize=MAX_CALLED_NODES * len(IDENTITY_FORMS))
def identity_text(identity: bytes, form: str) -> str:
    """The *identity* in one of `IDENTITY_FORMS`; empty where it has no such form.

    `hex` and `base64` are of the key's own bytes: 32, or 33 of secp256k1, whose point is compressed.
    """
    key = _public_key(identity) if identity else None
    if form == "pem":
        return "" if key is None else _pem(key)
    if form == "enodeId":
        return _enode_id(identity, key)
    plain = identity if key is None else _raw(key, compressed=True)
    return plain.hex() if form == "hex" else base64.b64encode(plain).decode()


def _public_key(identity: bytes) -> "PublicKeyTypes | None":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - most files need no key
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415 - as above

    try:
        return load_der_public_key(identity)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _der(key: "PublicKeyTypes") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pem(key: "PublicKeyTypes") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().strip()


def _raw(key: "PublicKeyTypes", *, compressed: bool) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    if isinstance(key, EllipticCurvePublicKey):
        form = PublicFormat.CompressedPoint if compressed else PublicFormat.UncompressedPoint
        return key.public_bytes(Encoding.X962, form)
    if isinstance(key, (Ed25519PublicKey, X25519PublicKey)):
        return key.public_bytes_raw()
    return _der(key)


def _enode_id(identity: bytes, key: "PublicKeyTypes | None") -> str:
    """Of what is no such key, 64 bytes that somebody wrote are taken at their word."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above

    if key is None:
        return identity.hex() if len(identity) == _ENODE_ID else ""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256K1):
        return ""
    return _raw(key, compressed=False).removeprefix(_UNCOMPRESSED).hex()
