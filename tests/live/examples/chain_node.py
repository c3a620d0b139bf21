# SPDX-License-Identifier: Apache-2.0
"""Questions to the nodes of a chain that runs in pods, over JSON-RPC, from the cluster's node."""

import http.client
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live.observers.waiting import until
from trustedpods.localnet.network import entered

ANSWER_S = 10.0
RPC_PORT = 8545
AWAY = (OSError, http.client.HTTPException)
"""What a question ends with where nobody answers in time: on a busy machine also a node that is well."""


def ask_http(namespace: Path, host: str, port: int, path: str = "/", body: str | None = None) -> bytes:
    """The answer's body, of whoever serves http there, to somebody in the network *namespace*."""
    with entered(namespace):
        made = socket.create_connection((host, port), ANSWER_S)
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER_S)
    connection.sock = made
    try:
        connection.request(
            "GET" if body is None else "POST", path, body, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        assert answer.status == 200, answer.status
        return answer.read()
    finally:
        connection.close()


class NodeSaysNo(Exception):
    """A node's own error."""


@dataclass(frozen=True)
class ChainNode:
    """One node, at an address that *namespace* reaches."""

    namespace: Path
    address: str

    def ask(self, method: str, *params: Any) -> Any:
        """What the node answers, as soon as it does; NodeSaysNo where it refuses."""

        def tried() -> tuple[Any] | None:
            try:
                return (self.ask_once(method, *params),)
            except AWAY:
                return None

        found = until(f"{self.address} answers {method}", tried)
        assert found is not None
        return found[0]

    def ask_once(self, method: str, *params: Any) -> Any:
        """The same of a node that may be away; one of `AWAY` where it is."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        told = json.loads(ask_http(self.namespace, self.address, RPC_PORT, body=body))
        if "error" in told:
            raise NodeSaysNo(told["error"]["message"])
        return told["result"]

    def height(self) -> int:
        """The number of its newest block; -1 where it does not answer."""
        try:
            return int(self.ask_once("eth_blockNumber"), 16)
        except AWAY:
            return -1

    def told_height(self) -> int:
        """The same, as soon as it answers."""
        return int(self.ask("eth_blockNumber"), 16)

    def block_hash(self, number: int) -> str | None:
        """Of the block with that number; None where it has none."""
        block = self.ask("eth_getBlockByNumber", hex(number), False)
        return None if block is None else str(block["hash"])


def have_same(nodes: Sequence[ChainNode], above: int) -> bool:
    """Whether all have the same block, which is higher than *above*."""
    lowest = min(node.height() for node in nodes)
    if lowest <= above:
        return False
    hashes = {node.block_hash(lowest) for node in nodes}
    return len(hashes) == 1 and None not in hashes
