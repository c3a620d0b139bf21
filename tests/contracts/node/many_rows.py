# SPDX-License-Identifier: Apache-2.0
"""A registry with thousands of rows on anvil, each of an owner of its own, written in seconds."""

from dataclasses import replace

import httpx
from web3 import Web3

from tests.contracts.test_registry_rows import ROW
from trustedpods.contracts.client.artifacts import artifact
from trustedpods.contracts.registry_rows import entry
from trustedpods.protocol.ids import address_from_bytes, keccak256

OPTIONS = (
    *("--gas-price", "0", "--block-base-fee-per-gas", "0", "--gas-limit", "600000000"),
    "--no-request-size-limit",
)
"""Options of an anvil that takes them: no fees, as the owners have no coin; big blocks."""

REGIONS = 100
"""Row number n is in region `r-<n modulo this>`: one row in a hundred matches a region."""

BATCH = 500
GAS = 400_000


def region_of(number):
    return f"r-{number % REGIONS}"


def owner_of(number):
    return address_from_bytes(keccak256(b"owner %d" % number)[:20])


def fill(anvil, market, count):
    """Register `count` rows, in blocks of `BATCH`."""
    contract = Web3().eth.contract(address=market.registry, abi=artifact("PodRegistry").abi)
    row = replace(ROW, token=market.token)
    data = [
        contract.encode_abi("register", [7, entry(replace(row, region=region_of(number)))])
        for number in range(REGIONS)
    ]
    anvil.rpc("anvil_autoImpersonateAccount", True)
    anvil.rpc("evm_setAutomine", False)
    with httpx.Client(timeout=120) as client:
        for start in range(0, count, BATCH):
            calls = [
                {
                    "jsonrpc": "2.0",
                    "id": number,
                    "method": "eth_sendTransaction",
                    "params": [
                        {
                            "from": owner_of(number),
                            "to": market.registry,
                            "data": data[number % REGIONS],
                            "gas": hex(GAS),
                            "gasPrice": "0x0",
                        }
                    ],
                }
                for number in range(start, min(count, start + BATCH))
            ]
            failed = [one["error"] for one in client.post(anvil.url, json=calls).json() if "error" in one]
            assert not failed, failed[0]
            anvil.rpc("evm_mine")
    anvil.rpc("evm_setAutomine", True)
    anvil.rpc("anvil_autoImpersonateAccount", False)
