# SPDX-License-Identifier: Apache-2.0
"""Questions to nodes of a CometBFT chain that run in pods, over their RPC, from the cluster's node."""

import base64
import http.client
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.live.examples.chain_node import ask_http

RPC_PORT = 26657


@dataclass(frozen=True)
class CometNode:
    """One node, at an address that *namespace* reaches."""

    namespace: Path
    address: str

    def ask(self, question: str) -> Any:
        """What the node answers; OSError or AssertionError where it is not there."""
        return json.loads(ask_http(self.namespace, self.address, RPC_PORT, f"/{question}"))["result"]

    def height(self) -> int:
        """Of its newest block; -1 where it does not answer."""
        try:
            return int(self.ask("status")["sync_info"]["latest_block_height"])
        except (OSError, AssertionError, http.client.HTTPException):
            return -1

    def block(self, height: int) -> str:
        """The hash of the block of that height."""
        return str(self.ask(f"block?height={height}")["block_id"]["hash"])

    def commit(self, text: str) -> None:
        """Have a transaction in a block."""
        told = self.ask(f'broadcast_tx_commit?tx="{quote(text, safe="=!")}"')
        assert (told["check_tx"]["code"], told["tx_result"]["code"]) == (0, 0), told

    def value(self, key: str) -> str:
        """What the chain has under *key*; empty where there is nothing."""
        found = self.ask(f'abci_query?data="{key}"')["response"].get("value")
        return base64.b64decode(found).decode() if found else ""

    def validators(self) -> dict[str, int]:
        """Public keys, in base64, and their power."""
        told = self.ask("validators")["validators"]
        return {str(one["pub_key"]["value"]): int(one["voting_power"]) for one in told}

    def signers(self, height: int) -> set[str]:
        """Addresses of those whose signature the chain has for the block of that height."""
        told = self.ask(f"commit?height={height}")["signed_header"]["commit"]["signatures"]
        return {one["validator_address"] for one in told if one["block_id_flag"] == 2}

    def own_address(self) -> str:
        """By which the chain knows the node's validator key."""
        return str(self.ask("status")["validator_info"]["address"])
