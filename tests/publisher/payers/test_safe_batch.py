# SPDX-License-Identifier: Apache-2.0
"""The file that a Safe's owners load: the Transaction Builder's form, with its own checksum."""

import json

from trustedpods.protocol.ids import Address
from trustedpods.publisher.payers.safe_batch import SafeCall, batch_checksum, batch_file

SAFE = Address("0xA77DE01e157f9f57C7c4A326eeE9C4874D0598b6")
TOKEN = Address("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")

EXPORTED = {
    "version": "1.0",
    "chainId": "1",
    "createdAt": 1761326849944,
    "meta": {
        "name": "Transactions Batch",
        "description": "",
        "txBuilderVersion": "1.18.2",
        "createdFromSafeAddress": SAFE,
        "createdFromOwnerAddress": "",
        "checksum": "0x8b5032f716845c8b08bab3d63dbd9ba92e056f3557793cd041e59b84e16aa989",
    },
    "transactions": [
        {
            "to": TOKEN,
            "value": "0",
            "data": None,
            "contractMethod": {
                "inputs": [
                    {"internalType": "address", "name": "spender", "type": "address"},
                    {"internalType": "uint256", "name": "value", "type": "uint256"},
                ],
                "name": "approve",
                "payable": False,
            },
            "contractInputsValues": {
                "spender": "0x474e5Ded6b5D078163BFB8F6dBa355C3aA5478C8",
                "value": "100000000000",
            },
        }
    ],
}
"""A file that the Transaction Builder wrote itself."""


def test_the_checksum_is_the_transaction_builders():
    assert batch_checksum(EXPORTED) == EXPORTED["meta"]["checksum"]


def test_a_file_holds_the_calls_and_what_they_are_for():
    calls = [SafeCall(TOKEN, 0, b"\xa9\x05\x9c\xbb"), SafeCall(SAFE, 10**16)]
    batch = json.loads(batch_file(100, SAFE, calls, "2.5 TPT to 0x…", 1761326849944))
    assert (batch["version"], batch["chainId"], batch["createdAt"]) == ("1.0", "100", 1761326849944)
    assert batch["meta"]["createdFromSafeAddress"] == SAFE
    assert batch["meta"]["description"] == "2.5 TPT to 0x…"
    assert batch["meta"]["checksum"] == batch_checksum(batch)
    assert [(one["to"], one["value"], one["data"]) for one in batch["transactions"]] == [
        (TOKEN, "0", "0xa9059cbb"),
        (SAFE, "10000000000000000", "0x"),
    ]


def test_any_change_changes_the_checksum():
    batch = json.loads(batch_file(100, SAFE, [SafeCall(TOKEN)], "x", 1))
    changed = json.loads(json.dumps(batch))
    changed["transactions"][0]["value"] = "1"
    assert batch_checksum(changed) != batch["meta"]["checksum"]
