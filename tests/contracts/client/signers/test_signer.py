# SPDX-License-Identifier: Apache-2.0
"""A key in this process signs transactions as eth_account does."""

from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.contracts.client.signers.signer import LocalKey, TransactionToSign
from trustedpods.protocol.ids import address_from_bytes

WORDS = st.integers(0, 2**256 - 1)
SIZES = st.sampled_from([0, 1, 55, 56, 255, 256, 70_000])
"""RLP writes what is shorter than 56 bytes, and lengths of several bytes, each in its own way."""

TRANSACTIONS = st.builds(
    TransactionToSign,
    chain_id=st.integers(0, 2**64 - 1),
    nonce=st.integers(0, 2**64 - 2),
    to=st.none() | st.binary(min_size=20, max_size=20).map(address_from_bytes),
    value=WORDS,
    data=st.binary(max_size=60) | SIZES.map(bytes),
    gas=st.integers(0, 2**64 - 1),
    most=WORDS,
    tip=WORDS,
)


@given(TRANSACTIONS, st.binary(min_size=31, max_size=31).map(lambda rest: b"\x01" + rest))
def test_the_same_bytes_as_those_of_eth_account(transaction, key):
    signed = LocalKey(key).sign_transaction(transaction)
    assert signed == bytes(Account.sign_transaction(transaction.fields(), key).raw_transaction)
    assert Account.recover_transaction(signed) == LocalKey(key).address
