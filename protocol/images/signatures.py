# SPDX-License-Identifier: Apache-2.0
"""Signatures of images by a key, as cosign makes them: read, and held against the key. Pure.

Two forms are known: a simple-signing payload whose signature stands in an annotation (cosign's own since its
first version), and a Sigstore bundle around an in-toto statement (cosign 3). Certificates of Fulcio and
entries of a transparency log are not judged: what counts is a key that the publisher has.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import DIGEST
from trustedpods.protocol.images.strict_json import parse_object
from trustedpods.protocol.limits import KIB

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
"""Type of a layer that is a payload; its signature is in the annotation `SIGNATURE`."""

SIGNATURE: Final = "dev.cosignproject.cosign/signature"

BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""Type of a layer that is a whole bundle."""

SIGNATURE_TYPES: Final = frozenset((SIMPLE_SIGNING, BUNDLE))

MAX_SIGNATURE: Final = 64 * KIB
"""Bytes of a payload or bundle: real ones have 0.3 and, with a log's proof, some 10 KiB."""

_MAX_SIGNERS: Final = 16
"""Signatures in one bundle; cosign writes one."""

_PAYLOAD_TYPE: Final = "cosign container image signature"
_STATEMENT_TYPE: Final = "application/vnd.in-toto+json"
_IMAGE_SIGNED: Final = "https://sigstore.dev/cosign/sign/v1"
"""Of a statement that says no more than that an image is signed. Others say what an image has in it, or who
found what wrong with it: none of these lets an image in."""


@dataclass(frozen=True, slots=True)
class ImageSignature:
    """What a signature is of: the image's *digest*, as the *signed* bytes say; not held against a key yet."""

    digest: str
    signed: bytes
    signature: bytes


def parse_signer_key(pem: str) -> bytes:
    """The key in a `cosign.pub`, as DER. Raises `BadInput` for anything but a public key of P-256."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput("not a public key in PEM, as `cosign generate-key-pair` writes cosign.pub") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadInput("not a key of ECDSA on P-256, which is the only kind that is judged")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def is_by(signature: ImageSignature, key: bytes) -> bool:
    """Whether *key*, of `parse_signer_key`, made the signature."""
    public = load_der_public_key(key)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    try:
        public.verify(signature.signature, signature.signed, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def parse_simple_signing(payload: bytes, annotation: str) -> ImageSignature:
    """The signature of a simple-signing *payload*. Raises `BadInput` for what is none of an image."""
    critical = parse_object(payload, "a signature's payload").get("critical")
    image = critical.get("image") if isinstance(critical, dict) else None
    if not isinstance(critical, dict) or not isinstance(image, dict) or critical.get("type") != _PAYLOAD_TYPE:
        raise BadInput("the payload is not that of an image's signature")
    return ImageSignature(_digest(image.get("docker-manifest-digest")), payload, _bytes(annotation))


def parse_bundle(bundle: bytes) -> list[ImageSignature]:
    """Signatures of a Sigstore bundle, for each image that it names. Raises `BadInput` as above."""
    envelope = parse_object(bundle, "a signature's bundle").get("dsseEnvelope")
    if not isinstance(envelope, dict) or envelope.get("payloadType") != _STATEMENT_TYPE:
        raise BadInput("the bundle has no statement on an image")
    payload, signatures = _bytes(envelope.get("payload")), _some(envelope.get("signatures"))
    statement = parse_object(payload, "a signature's statement")
    if statement.get("predicateType") != _IMAGE_SIGNED:
        raise BadInput("the statement is not that an image is signed")
    subjects = dict.fromkeys(map(_subject, _some(statement.get("subject"))))
    signed = _pre_authentication(_STATEMENT_TYPE.encode(), payload)
    return [
        ImageSignature(subject, signed, _bytes(one.get("sig"))) for one in signatures for subject in subjects
    ]


def _pre_authentication(kind: bytes, payload: bytes) -> bytes:
    """What a DSSE envelope signs."""
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _some(items: object) -> list[dict[str, Any]]:
    found = items if isinstance(items, list) and len(items) <= _MAX_SIGNERS else None
    if found is None or not all(isinstance(one, dict) for one in found):
        raise BadInput("damaged: the bundle's signatures or subjects are not lists of some")
    return found


def _subject(subject: dict[str, Any]) -> str:
    named = subject.get("digest")
    return _digest(f"sha256:{named.get('sha256')}" if isinstance(named, dict) else None)


def _digest(text: object) -> str:
    if not isinstance(text, str) or not DIGEST.fullmatch(text):
        raise BadInput(f"a signature of something without a sha256 digest: {str(text)[:80]!r}")
    return text


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(text if isinstance(text, str) else "!", validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("damaged: a signature is not base64") from None
