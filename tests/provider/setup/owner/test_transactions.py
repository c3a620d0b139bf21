# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
from eth_abi.abi import decode

from tests.provider.setup.test_market_prices import TOKEN, row
from trustedpods.contracts.records import Market
from trustedpods.contracts.registry_rows import endpoint_bytes, entry, pack_offer
from trustedpods.protocol.ids import Address, address_bytes, keccak256
from trustedpods.provider.setup.owner.transactions import differs, funding, naming_operator, registering

PAYMENTS, REGISTRY = Address("0x" + "05" * 20), Address("0x" + "06" * 20)
MARKET = Market(8453, PAYMENTS, REGISTRY, TOKEN)
ROW = replace(
    row(0x11), endpoint="/ip4/203.0.113.7/tcp/4001/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"
)
OPERATOR = Address("0x" + "07" * 20)
ENTRY = "(uint8,uint8,bytes12,address,uint256,bytes32,bytes32,bytes)"


def test_the_row_is_written_as_the_contract_reads_it():
    made = registering(MARKET, ROW)
    assert (made.to, made.value, made.chain_id, made.sender) == (REGISTRY, 0, 8453, ROW.owner)
    assert made.data[:4] == keccak256(f"register(uint32,{ENTRY})".encode())[:4]
    daemon, told = decode(["uint32", ENTRY], made.data[4:])
    assert daemon == 1
    assert told[3] == ROW.token.lower()
    assert (told[4], told[7]) == (pack_offer(ROW.prices, ROW.least), endpoint_bytes(ROW.endpoint))
    assert told[0] == entry(ROW)[0]
    assert made.link is None


def test_the_operator_is_named_in_both_contracts():
    first, second = naming_operator(MARKET, ROW.owner, OPERATOR)
    assert (first.to, second.to) == (REGISTRY, PAYMENTS)
    for made in (first, second):
        assert made.data[:4] == keccak256(b"setOperator(address,bool)")[:4]
        assert decode(["address", "bool"], made.data[4:]) == (OPERATOR.lower(), True)
        assert made.link == f"ethereum:{made.to}@8453/setOperator?address={OPERATOR}&bool=true"
    assert first.purpose != second.purpose


def test_gas_is_a_plain_payment():
    made = funding(MARKET, OPERATOR, 10**16)
    assert made.plain() == {
        "purpose": made.purpose,
        "chainId": 8453,
        "to": OPERATOR,
        "value": hex(10**16),
        "data": "0x",
        "link": f"ethereum:{OPERATOR}@8453?value=10000000000000000",
    }


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"endpoint": "", "profile_digest": b"x" * 32, "updated_at": 5}, None),
        ({"trust": "sealed"}, "class"),
        ({"tee": ["tdx"], "chip_digest": b"y" * 32}, "TEE, chip"),
        ({"region": "mars"}, "region"),
        ({"prices": row(1, "3").prices}, "prices or least terms"),
        ({"least": row(1).least.model_copy(update={"idle_mib": 5})}, "prices or least terms"),
    ],
)
def test_only_what_is_the_owners_to_write_asks_for_him(changed, told):
    found = differs(replace(ROW, **changed), ROW)
    assert found == (told and f"its {told} differs from the settings")
    assert differs(None, ROW) == "there is no row yet"
    assert len(address_bytes(ROW.owner)) == 20
