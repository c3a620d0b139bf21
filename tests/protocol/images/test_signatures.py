# SPDX-License-Identifier: Apache-2.0
"""Signatures of images: what Sigstore's own library made is taken, and nothing that differs from it."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.images.signed import KeySigner
from tests.paths import ROOT
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.signatures import (
    is_by,
    parse_bundle,
    parse_signer_key,
    parse_simple_signing,
)

VECTOR = json.loads((ROOT / "tests/vectors/image_signatures.json").read_text())
KEY = parse_signer_key(VECTOR["public_key"])
DIGEST = VECTOR["digest"]


def bundle(envelope):
    return json.dumps({"dsseEnvelope": envelope}).encode()


def test_what_sigstores_library_signed_is_by_its_key_and_by_no_other():
    simple = parse_simple_signing(VECTOR["payload"].encode(), VECTOR["signature"])
    (bundled,) = parse_bundle(bundle(json.loads(VECTOR["envelope"])))
    other = parse_signer_key(KeySigner().pem)
    for signature in (simple, bundled):
        assert signature.digest == DIGEST
        assert is_by(signature, KEY)
        assert not is_by(signature, other)


@given(
    st.integers(min_value=0, max_value=len(VECTOR["payload"]) - 1), st.integers(min_value=1, max_value=255)
)
def test_a_changed_byte_of_the_payload_is_no_signature(at, change):
    payload = bytearray(VECTOR["payload"].encode())
    payload[at] ^= change
    try:
        found = parse_simple_signing(bytes(payload), VECTOR["signature"])
    except BadInput:
        return
    assert not is_by(found, KEY)


def test_a_statement_on_something_else_lets_no_image_in():
    """The same key signs lists of parts too, and one who signs that says not that the image may run."""
    with pytest.raises(BadInput, match="not that an image is signed"):
        parse_bundle(bundle(json.loads(VECTOR["attestation"])))


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{",
        b'{"critical": 1}',
        b'{"critical": {"type": "cosign container image signature"}}',
        KeySigner().payload("sha256:short"),
        KeySigner().payload(DIGEST, "atomic container signature"),
        KeySigner().payload(DIGEST).replace(b'"critical"', b'"critical": {}, "Critical"'),
    ],
)
def test_payloads_of_no_image(payload):
    with pytest.raises(BadInput):
        parse_simple_signing(payload, VECTOR["signature"])


def envelopes():
    good = json.loads(VECTOR["envelope"])
    yield None
    yield good | {"payloadType": "text/plain"}
    yield good | {"payload": 7}
    yield good | {"payload": "#"}
    yield good | {"signatures": [good["signatures"][0]] * 17}
    yield good | {"signatures": "many"}
    yield good | {"signatures": [{}]}
    statement = json.loads(base64.b64decode(good["payload"]))
    for subject in (None, [{"digest": {"sha512": "ab"}}], [{"digest": 1}], [1]):
        changed = json.dumps(statement | {"subject": subject}).encode()
        yield good | {"payload": base64.b64encode(changed).decode()}


@pytest.mark.parametrize("envelope", list(envelopes()))
def test_bundles_of_no_image(envelope):
    with pytest.raises(BadInput):
        parse_bundle(bundle(envelope))


def pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        VECTOR["public_key"].replace("M", "!"),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_keys_that_are_not_judged(text):
    with pytest.raises(BadInput):
        parse_signer_key(text)
