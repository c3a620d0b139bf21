# SPDX-License-Identifier: Apache-2.0
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.sealing.signatures import signer_of

KEY = b"\7" * 32
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
digests = st.binary(min_size=32, max_size=32)


def signed(digest):
    return bytes(Account.unsafe_sign_hash(digest, KEY).signature)


@given(digests)
def test_who_signed_is_found(digest):
    assert signer_of(digest, signed(digest)) == Account.from_key(KEY).address


@given(digests, st.integers(0, 255).filter(lambda v: v not in (27, 28)))
def test_only_two_recovery_bytes_count(digest, v):
    assert signer_of(digest, signed(digest)[:64] + bytes([v])) is None


@given(digests)
def test_the_upper_half_of_s_is_refused(digest):
    good = signed(digest)
    high = (ORDER - int.from_bytes(good[32:64])).to_bytes(32)
    assert signer_of(digest, good[:32] + high + bytes([27 + 28 - good[64]])) is None


@given(digests, st.binary(max_size=200).filter(lambda raw: len(raw) != 65))
def test_other_lengths_are_refused(digest, raw):
    assert signer_of(digest, raw) is None


@given(digests, st.binary(min_size=64, max_size=64), st.sampled_from([27, 28]))
def test_any_bytes_are_somebodys_or_none(digest, raw, v):
    assert signer_of(digest, raw + bytes([v])) != Account.from_key(KEY).address


@given(digests, st.sampled_from([0, ORDER, ORDER + 1, 2**256 - 1]), st.booleans())
def test_numbers_outside_the_field_are_refused(digest, number, first):
    good, bad = signed(digest), number.to_bytes(32)
    assert signer_of(digest, (bad + good[32:] if first else good[:32] + bad + good[64:])) is None
