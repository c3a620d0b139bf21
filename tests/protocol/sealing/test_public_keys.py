# SPDX-License-Identifier: Apache-2.0
"""What a node is known by in each form, and what has none."""

import base64

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.sealing.public_keys import IDENTITY_FORMS, identity_text, is_identity, is_node_key


def _der(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_forms_of_a_key_of_32_bytes():
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    raw = key.public_bytes_raw()
    assert identity_text(_der(key), "hex") == raw.hex()
    assert base64.b64decode(identity_text(_der(key), "base64")) == raw
    assert load_pem_public_key(identity_text(_der(key), "pem").encode()).public_bytes_raw() == raw
    assert identity_text(_der(key), "enodeId") == ""


def test_forms_of_a_key_of_secp256k1():
    key = ec.derive_private_key(1, ec.SECP256K1()).public_key()
    assert identity_text(_der(key), "hex").startswith("0279be667e")
    assert identity_text(_der(key), "enodeId").startswith("79be667e")
    assert len(identity_text(_der(key), "enodeId")) == 128
    other = ec.derive_private_key(1, ec.SECP256R1()).public_key()
    assert identity_text(_der(other), "enodeId") == ""


def test_keys_of_pods_are_told_from_others_and_from_other_forms():
    ours = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    mine, tls, theirs = (
        ec.derive_private_key(1, curve).public_key()
        for curve in (ec.SECP256K1(), ec.SECP256R1(), ec.SECP384R1())
    )
    assert is_node_key(_der(ours))
    assert is_node_key(_der(mine))
    assert is_node_key(_der(tls)), "of p256, which signs a node's certificates"
    for other in (b"", b"\x02\xab", _der(ours) + b"\0", _der(theirs), _der(ours)[:-1]):
        assert not is_node_key(other)
    compressed = mine.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    short = bytes.fromhex("3036301006072a8648ce3d020106052b8104000a032200") + compressed
    assert identity_text(short, "enodeId") == identity_text(_der(mine), "enodeId")
    assert not is_node_key(short)
    assert not is_identity(short)
    for taken in (b"", b"\x02\xab", _der(ours), _der(theirs)):
        assert is_identity(taken)


def test_plain_bytes_are_taken_at_their_word():
    assert identity_text(b"\x02\xab", "hex") == "02ab"
    assert identity_text(b"\x02\xab", "base64") == "Aqs="
    assert identity_text(b"\x02\xab", "pem") == ""
    assert identity_text(b"\x02\xab", "enodeId") == ""
    assert identity_text(b"\x01" * 64, "enodeId") == "01" * 64


@given(st.binary(max_size=128))
def test_any_bytes_have_only_harmless_letters(identity):
    for form in IDENTITY_FORMS:
        text = identity_text(identity, form)
        assert text.isascii()
        assert not set(text) & set("\0\"'\\$")
