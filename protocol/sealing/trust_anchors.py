# SPDX-License-Identifier: Apache-2.0
"""A node's public key as a certificate that others trust, for exactly the names by which they call it. Pure.

A node signs its certificates with the key that it is known by, so a network needs no authority: whoever calls
the node makes a CA certificate of that key by itself. What this one may stand for is said by who trusts, not
by who is trusted: a node of another owner can be nobody but itself. Why:
docs/adr/0011-certificates-of-nodes.md.
"""

import base64
import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final

from trustedpods.protocol.limits import MAX_CALLED_NODES

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

ANCHOR_FORM: Final = "ca"
"""The form of an identity that is a CA certificate, beside `public_keys.IDENTITY_FORMS`."""

_BEGINS: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NEVER_ENDS: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""As RFC 5280 (4.1.2.5) writes it: an anchor is good for as long as it stands in the address book."""

_NO_ADDRESSES: Final = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))
"""Nodes are called by name: several share one address."""

_NOBODY: Final = "nobody.invalid"
"""A host that nobody has (RFC 2606). What is constrained in names of one kind says nothing of the others, so
mail addresses and URIs are permitted only there; else a node could sign itself a SPIFFE id of another."""

_ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
_NO_SIGNATURE: Final = bytes.fromhex("030900 3006 020101 020101")
"""A signature in form, by nobody: the key is in the node's machine. Of an anchor only name, key and
constraints count (RFC 5280, 6.1.1 d), and what trusts it looks at no signature of it."""

_SHORTEST: Final = 256
"""Bytes from which a length in DER takes the two bytes that are written here; an anchor has over 400."""

MAX_ANCHORS: Final = 2 * MAX_CALLED_NODES
"""That are kept made: those of one node's book while it is rendered twice."""


def issuer_of(public_key: "EllipticCurvePublicKey") -> "x509.Name":
    """By which name a key signs certificates: a digest of it, so that no two keys have one name."""
    from cryptography import x509  # noqa: PLC0415 - most files of manifests need no certificates

    digest = hashlib.sha256(_der(public_key)).hexdigest()[:40]
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"node {digest}")])


@lru_cache(maxsize=MAX_ANCHORS)
def trust_anchor(identity: bytes, names: tuple[str, ...]) -> str:
    """PEM of the CA certificate of an *identity* that stands for *names*, and names below them, alone.

    Empty where it is no key of P-256 (SubjectPublicKeyInfo, DER): anything else signs no certificates here.
    The same key and names make the same bytes.
    """
    key = _key_of_p256(identity)
    if key is None or not names:
        return ""
    tbs = _to_be_signed(key, names)
    body = tbs + _ECDSA_SHA256 + _NO_SIGNATURE
    assert len(body) >= _SHORTEST
    der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----"])


def _key_of_p256(identity: bytes) -> "EllipticCurvePublicKey | None":
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415 - as above

    try:
        key = load_der_public_key(identity)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        return None
    return key if _der(key) == identity else None  # in another form it would pass for another node's key


def _der(key: "EllipticCurvePublicKey") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - as above

    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _to_be_signed(key: "EllipticCurvePublicKey", names: tuple[str, ...]) -> bytes:
    """The certificate without signature, which a library writes when it signs: by a key of no secret."""
    from cryptography import x509  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 - as above

    issuer = issuer_of(key)
    permitted = [*map(x509.DNSName, names), x509.RFC822Name(_NOBODY), x509.UniformResourceIdentifier(_NOBODY)]
    constraints = x509.NameConstraints(permitted, [x509.IPAddress(each) for each in _NO_ADDRESSES])
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = x509.CertificateBuilder(issuer, issuer, key, 1, _BEGINS, _NEVER_ENDS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    return builder.sign(ec.derive_private_key(1, ec.SECP256R1()), SHA256()).tbs_certificate_bytes
