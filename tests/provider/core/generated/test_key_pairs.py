# SPDX-License-Identifier: Apache-2.0
"""Pairs of keys: as other libraries have them, in each encoding, and what is no key."""

import pytest
from eth_keys.datatypes import PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.volume import KEY_TYPES
from trustedpods.protocol.sealing.public_keys import identity_text
from trustedpods.provider.core.generated.key_pairs import made_key, private_file, private_key, public_key

ONE = bytes(31) + b"\x01"
RFC_8032 = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_8032_PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
RFC_7748 = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4eb92ebc5c0d49b3d4c8d6a4d2a9f1")


@given(st.sampled_from(sorted(KEY_TYPES)), st.sampled_from(["hex", "base64", "pem"]), st.randoms())
def test_a_file_holds_its_key(kind, encoding, source):
    key = made_key(kind, source.randbytes)
    read = private_key(private_file(key, encoding) + b"\n", kind)
    assert public_key(read) == public_key(key)


@given(st.binary(min_size=32, max_size=32).filter(lambda raw: 0 < raw[0] < 255))
def test_an_enode_id_is_that_of_another_library(raw):
    key = made_key("secp256k1", lambda _: raw)
    assert private_file(key, "hex") == raw.hex().encode()
    other = PrivateKey(raw).public_key
    assert identity_text(public_key(key), "enodeId") == other.to_bytes().hex()
    assert identity_text(public_key(key), "hex") == other.to_compressed_bytes().hex()


def test_vectors_of_rfc_8032():
    key = made_key("ed25519", lambda _: RFC_8032)
    assert identity_text(public_key(key), "hex") == RFC_8032_PUBLIC
    assert private_file(key, "hex") == RFC_8032.hex().encode()


def test_a_number_that_is_no_key_is_thrown_away():
    numbers = iter([bytes(32), b"\xff" * 32, ONE])
    assert private_file(made_key("secp256k1", lambda _: next(numbers)), "hex") == ONE.hex().encode()
    assert next(numbers, None) is None


@given(st.sampled_from(sorted(KEY_TYPES)), st.binary(max_size=80))
def test_any_bytes_are_a_key_or_none(kind, content):
    key = private_key(content, kind)
    assert key is None or private_key(private_file(key, "pem"), kind) is not None


@pytest.mark.parametrize("kind", sorted(KEY_TYPES))
@pytest.mark.parametrize(
    "content", [b"", b"-----BEGIN PRIVATE KEY-----\n", b"0x12", b"A" * 5000, "ä".encode() * 32]
)
def test_what_is_no_key(kind, content):
    assert private_key(content, kind) is None


def test_a_key_of_another_type_is_none():
    for kind in KEY_TYPES:
        pem = private_file(made_key(kind, lambda size: b"\x07" * size), "pem")
        assert [one for one in sorted(KEY_TYPES) if private_key(pem, one) is not None] == [kind]
