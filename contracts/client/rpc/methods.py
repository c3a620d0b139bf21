# SPDX-License-Identifier: Apache-2.0
"""The methods of a node that are used, with their answers typed. Blocking: all of it in threads.

Each raises `RpcError` with what the node says, one of `errors.MALFORMED` over an answer of the wrong shape,
and `NetworkFailure` where there is none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from trustedpods.contracts.client.errors import RpcError, reverted
from trustedpods.contracts.client.rpc.answers import BlockHeader, Json, Log, Mined, octets, quantity, word
from trustedpods.protocol.ids import Address

BlockName: TypeAlias = int | Literal["latest", "pending"]

LEAST_TIP, MOST_TIP = 10**9, 15 * 10**8
"""Wei: the bounds of a tip that is estimated here, where the node has no method for it."""

TIP_HISTORY: Final = ("0xa", "pending", [5.0])
"""Ten blocks, and of each the tip that a twentieth of its gas paid at most."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call to run or to estimate; `to` is None when it creates a contract."""

    to: Address | None
    data: bytes = b""
    value: int = 0
    sender: Address | None = None
    gas: int | None = None
    chain_id: int | None = None

    def json(self) -> dict[str, str]:
        """As the wire has it."""
        fields: dict[str, str] = {"data": "0x" + self.data.hex()}
        if self.to is not None:
            fields["to"] = self.to
        if self.sender is not None:
            fields["from"] = self.sender
        numbers = {"value": self.value or None, "gas": self.gas, "chainId": self.chain_id}
        return fields | {name: hex(number) for name, number in numbers.items() if number is not None}


def block_name(block: BlockName) -> str:
    """A block as a parameter."""
    return hex(block) if isinstance(block, int) else block


class Methods:
    """A node's methods; *ask* sends one request and returns the result, `RpcError` for its error."""

    def __init__(self, ask: Callable[[str, Sequence[object]], Json]) -> None:
        self._ask = ask

    def chain_id(self) -> int:
        """Which chain the node serves."""
        return quantity(self._ask("eth_chainId", []))

    def block_number(self) -> int:
        """Of the newest block."""
        return quantity(self._ask("eth_blockNumber", []))

    def block(self, block: BlockName) -> BlockHeader:
        """A block without its transactions."""
        return BlockHeader.of(self._there("eth_getBlockByNumber", block_name(block), False))

    def code(self, address: Address) -> bytes:
        """The code at an address, empty where no contract is."""
        return octets(self._ask("eth_getCode", [address, "latest"]))

    def balance(self, address: Address) -> int:
        """In wei."""
        return quantity(self._ask("eth_getBalance", [address, "latest"]))

    def transaction_count(self, address: Address, block: BlockName) -> int:
        """How many an account has sent: its next nonce."""
        return quantity(self._ask("eth_getTransactionCount", [address, block_name(block)]))

    def gas_price(self) -> int:
        """What a unit of gas costs now, in wei."""
        return quantity(self._ask("eth_gasPrice", []))

    def tip(self) -> int:
        """What is usual for whoever mines, in wei; from recent blocks where the node does not say."""
        try:
            return quantity(self._ask("eth_maxPriorityFeePerGas", []))
        except RpcError:
            paid = [quantity(tips[0]) for tips in self._there("eth_feeHistory", *TIP_HISTORY)["reward"]]
        paid = [tip for tip in paid if tip]
        return min(MOST_TIP, max(LEAST_TIP, round(sum(paid) / len(paid)))) if paid else LEAST_TIP

    def call(self, call: CallRequest, block: BlockName = "latest") -> bytes:
        """What a call returns; raises what the contract says when it reverts."""
        return octets(self._run("eth_call", call.json(), block_name(block)))

    def estimate_gas(self, call: CallRequest) -> int:
        """The gas of a call; raises what the contract says when it would revert."""
        return quantity(self._run("eth_estimateGas", call.json()))

    def send_raw(self, raw: bytes) -> bytes:
        """Hand a signed transaction in; its hash as the node has it."""
        return word(self._ask("eth_sendRawTransaction", ["0x" + raw.hex()]))

    def receipt(self, tx_hash: bytes) -> Mined | None:
        """None means that it is in no block."""
        value = self._ask("eth_getTransactionReceipt", ["0x" + tx_hash.hex()])
        return None if value is None else Mined.of(value)

    def transaction_data(self, tx_hash: bytes) -> bytes:
        """What a transaction called its contract with."""
        return octets(self._there("eth_getTransactionByHash", "0x" + tx_hash.hex())["input"])

    def logs(self, address: Address, topics: Sequence[str | None], first: int, last: int) -> list[Log]:
        """Logs of a contract in these blocks, both included."""
        wanted: Mapping[str, object] = {
            "address": address,
            "topics": topics,
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        return [Log.of(log) for log in self._ask("eth_getLogs", [wanted])]

    def _there(self, method: str, *params: object) -> Json:
        """An answer that must not be null."""
        value = self._ask(method, params)
        if value is None:
            raise RpcError({"message": f"{method} found nothing"})
        return value

    def _run(self, method: str, *params: object) -> Json:
        try:
            return self._ask(method, params)
        except RpcError as error:
            refused = reverted(error)
            if refused is not None:
                raise refused from None
            raise
