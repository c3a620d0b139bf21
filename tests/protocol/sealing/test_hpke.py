# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.sealing import hpke

KEY = hpke.PrivateKey.from_bytes(bytes(range(96)))
OTHER = hpke.PrivateKey.generate()
SEALED = hpke.seal(KEY.public_bytes, b"a secret", b"context")


def rule_of(sealed: bytes, key: hpke.PrivateKey = KEY, info: bytes = b"context") -> str | None:
    with pytest.raises(RemoteProtocolError) as error:
        key.open(sealed, info)
    return error.value.rule


@given(st.binary(max_size=2000), st.binary(max_size=200))
@settings(max_examples=50)
def test_what_is_sealed_opens(plaintext, info):
    sealed = hpke.seal(KEY.public_bytes, plaintext, info)
    assert len(sealed) == len(plaintext) + hpke.OVERHEAD
    assert KEY.open(sealed, info) == plaintext


def test_a_key_comes_back_from_its_bytes():
    raw = OTHER.to_bytes()
    assert len(raw) == hpke.PRIVATE_KEY_BYTES
    again = hpke.PrivateKey.from_bytes(raw)
    assert again.public_bytes == OTHER.public_bytes
    assert len(again.public_bytes) == hpke.PUBLIC_KEY_BYTES
    assert again.open(hpke.seal(OTHER.public_bytes, b"x", b""), b"") == b"x"


def test_keys_are_new_each_time():
    assert hpke.PrivateKey.generate().to_bytes() != hpke.PrivateKey.generate().to_bytes()


def test_sealing_twice_is_never_the_same():
    assert hpke.seal(KEY.public_bytes, b"a secret", b"context") != SEALED


def test_a_secret_does_not_show_in_a_key_or_a_message():
    assert OTHER.to_bytes().hex() not in repr(OTHER)
    assert b"a secret" not in SEALED


def test_another_key_or_context_does_not_open():
    assert rule_of(SEALED, key=OTHER) == "sealed"
    assert rule_of(SEALED, info=b"Context") == "sealed"
    assert rule_of(SEALED, info=b"") == "sealed"


@given(st.integers(0, len(SEALED) - 1), st.integers(0, 7))
@settings(max_examples=50)
def test_a_flipped_bit_does_not_open(offset, bit):
    changed = bytearray(SEALED)
    changed[offset] ^= 1 << bit
    assert rule_of(bytes(changed)) == "sealed"


@pytest.mark.parametrize("size", [0, 1, 1120, 1135, len(SEALED) - 1])
def test_too_little_does_not_open(size):
    assert rule_of(SEALED[:size]) == "sealed"


def test_too_much_does_not_open():
    assert rule_of(SEALED + b"\0") == "sealed"


@given(st.binary(max_size=1300))
@settings(max_examples=50)
def test_random_bytes_do_not_open(sealed):
    assert rule_of(sealed) == "sealed"


@pytest.mark.parametrize(
    "public",
    [
        b"",
        KEY.public_bytes[:-1],
        KEY.public_bytes + b"\0",
        b"\xff" * 1216,
        KEY.public_bytes[:1184] + bytes(32),
    ],
    ids=["empty", "short", "long", "no ML-KEM key", "low order"],
)
def test_nothing_is_sealed_to_what_is_no_key(public):
    with pytest.raises(RemoteProtocolError) as error:
        hpke.seal(public, b"x", b"")
    assert error.value.rule == "hpke-key"


@pytest.mark.parametrize("size", [0, 95, 97])
def test_a_private_key_of_wrong_length_is_our_mistake(size):
    with pytest.raises(LocalProtocolError):
        hpke.PrivateKey.from_bytes(bytes(size))
