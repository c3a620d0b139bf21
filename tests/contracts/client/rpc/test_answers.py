# SPDX-License-Identifier: Apache-2.0
"""Answers of nodes: taken only in the shape that their specification gives them."""

import pytest

from trustedpods.contracts.client.errors import MALFORMED
from trustedpods.contracts.client.rpc.answers import BlockHeader, Log, Mined, octets, quantity, word

HASH = "0x" + 64 * "a"
BLOCK = {
    "number": "0x10",
    "hash": HASH,
    "timestamp": "0x5",
    "baseFeePerGas": "0x7",
    "extraData": "0x" + 194 * "0",
}
LOG = {
    "address": "0x" + 40 * "1",
    "topics": [HASH],
    "data": "0x",
    "blockNumber": "0x10",
    "logIndex": "0x0",
    "transactionHash": HASH,
}
RECEIPT = {
    "transactionHash": HASH,
    "blockNumber": "0x10",
    "blockHash": HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "contractAddress": None,
    "logs": [LOG],
}


@pytest.mark.parametrize(
    "value", [None, 5, "", "0x", "10", "0xg", "0x" + 65 * "1", "-0x1", ["0x1"], {"0x1": 1}]
)
def test_what_is_no_number_is_refused(value):
    with pytest.raises(MALFORMED):
        quantity(value)


@pytest.mark.parametrize("value", [None, 5, "", "00", "0x0", "0xgg", ["0x00"], b"00"])
def test_what_is_no_row_of_bytes_is_refused(value):
    with pytest.raises(MALFORMED):
        octets(value)


def test_numbers_and_bytes():
    assert (quantity("0x0"), quantity("0x" + 64 * "f")) == (0, 2**256 - 1)
    assert (octets("0x"), octets("0x00ff"), word(HASH)) == (b"", b"\0\xff", b"\xaa" * 32)
    with pytest.raises(MALFORMED):
        word("0x00")


def test_a_block_of_any_chain_is_read():
    """Also with a signer's extra data (clique, 97 bytes), and before London."""
    assert BlockHeader.of(BLOCK) == BlockHeader(16, b"\xaa" * 32, 5, 7)
    assert BlockHeader.of({name: BLOCK[name] for name in ("number", "hash", "timestamp")}).base_fee is None


def test_a_receipt_is_read():
    mined = Mined.of(RECEIPT)
    assert (mined.status, mined.gas_used, mined.created, len(mined.logs)) == (1, 21_000, None, 1)
    assert Mined.of({**RECEIPT, "contractAddress": "0x" + 40 * "1"}).created == "0x" + 40 * "1"


NUMBERS = {"number", "blockNumber", "logIndex", "status", "gasUsed", "timestamp", "baseFeePerGas"}
OPTIONAL = {"baseFeePerGas", "contractAddress"}


@pytest.mark.parametrize(("read", "whole"), [(BlockHeader.of, BLOCK), (Mined.of, RECEIPT), (Log.of, LOG)])
@pytest.mark.parametrize("wrong", [[7], {"a": 1}, "0x1", 7, None, True])
def test_every_field_of_every_answer_is_looked_at(read, whole, wrong):
    with pytest.raises(MALFORMED):
        read(wrong)
    right = NUMBERS if wrong == "0x1" else OPTIONAL if wrong is None else set()
    for name in whole.keys() - {"extraData"} - right:
        with pytest.raises(MALFORMED):
            read({**whole, name: wrong})
