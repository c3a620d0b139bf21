# SPDX-License-Identifier: Apache-2.0
"""What every part of the door shares: the node, the three contracts, calls, logs, transactions."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from trustedpods.contracts.client.client_limits import USUAL, ClientLimits
from trustedpods.contracts.client.endpoints.standings import NodeStanding
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.client.rpc.answers import Mined
from trustedpods.contracts.client.rpc.contract import Contract, ContractCall, Event, Value
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.client.signers.signer import SigningKey
from trustedpods.contracts.client.transactions.journals import TransactionJournal
from trustedpods.contracts.client.transactions.sender import MINED_WITHIN_S, Sender, Waiting, intent_of
from trustedpods.contracts.records import Block, Market, Receipt
from trustedpods.protocol.errors import NetworkFailure, NoContext
from trustedpods.protocol.units import UnixSeconds

LOG_WINDOW = 10_000
"""Nodes limit `eth_getLogs`: where the whole range is refused, the first try with a part of it."""

LEAST_WINDOW = 5
"""The narrowest that a public node was seen to allow; if it is refused, the node is in trouble."""

LOG_REQUESTS = 60
"""Requests for one kind of event; older events than they reach are left out."""


class ChainBase:
    """A market on a chain. Close it, or use it as a context manager."""

    def __init__(
        self,
        rpc_url: str | Sequence[str],
        market: Market,
        *,
        agree: int | None = None,
        journal: TransactionJournal | None = None,
        mined_within_s: float = MINED_WITHIN_S,
        limits: ClientLimits = USUAL,
    ) -> None:
        """*journal* keeps unfinished transactions through a restart.

        Of several addresses of nodes *agree* must say the same, more than half where it is None.
        """
        self.market = market
        self._node = Node(rpc_url, limits, agree)
        waiting = Waiting(mined_within_s, market.finality_blocks)
        self._sender = Sender(self._node, market.chain_id, waiting, journal)
        self._payments = Contract("PodPayments", market.payments)
        self._registry = Contract("PodRegistry", market.registry)
        self._token = Contract("TestToken", market.token)

    async def aclose(self) -> None:
        """Drop the connections to the node."""
        self._node.close()

    async def __aenter__(self) -> Self:
        """The chain itself; nothing is sent yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    @property
    def place(self) -> str:
        """Of the first node, as errors call it: no secret of its address is in it."""
        return self._node.place

    def nodes(self) -> tuple[NodeStanding, ...]:
        """How each of several nodes fares, by what it answered last; nothing where there is one."""
        return self._node.standings()

    async def head(self) -> Block:
        """The newest block."""
        return await self._node.read(self._newest)

    def _newest(self) -> Block:
        newest = self._node.eth.block("latest")
        return Block(newest.number, UnixSeconds(newest.timestamp), newest.hash)

    async def check_market(self) -> None:
        """Raise `NoContext` unless the node serves this market: chain id, code, the same token."""
        eth, market = self._node.eth, self.market
        chain_id = await self._node.read(eth.chain_id)
        if chain_id != market.chain_id:
            raise NoContext(
                f"the node serves chain {chain_id}, the market is on chain {market.chain_id}",
                where=self._node.place,
                hint="`rpc` and `chain_id` of the market file must be of one chain: mend the file",
            )
        for name in ("payments", "registry", "token"):
            address = getattr(market, name)
            if not await self._node.read(eth.code, address):
                raise NoContext(
                    f"there is no {name} contract at {address}",
                    hint="was the chain started anew? then the market file is of an older one",
                )
        token = await self._call(self._payments.functions.token())
        if token != market.token:
            raise NoContext(f"the payment contract is for token {token}, not {market.token}")

    async def _call(self, function: ContractCall, block: int | None = None) -> Value:
        def read() -> Value:
            request = CallRequest(function.to, function.data)
            return function.decode(self._node.eth.call(request, "latest" if block is None else block))

        return await self._node.read(read)

    async def resume(self, key: SigningKey, *, told: bool = False) -> list[bytes]:
        """Bring what this key left unfinished (in an earlier run too) to its end; what was mined.

        Every write looks after what is in line before it, so this is only needed where no write
        follows. Raises `NetworkFailure` when that is not possible now.
        """
        return await self._sender.resume(key, told=told)

    async def _transact(
        self,
        key: SigningKey,
        function: ContractCall,
        intent: bytes | None = None,
        *,
        least_gas: int = 0,
        mined: Callable[[], None] | None = None,
    ) -> tuple[Receipt, Mined]:
        call = CallRequest(function.to, function.data)
        return await self._sender.send(key, call, intent, least_gas=least_gas, mined=mined)

    async def _do(
        self,
        key: SigningKey,
        function: ContractCall,
        intent: bytes | None = None,
        *,
        mined: Callable[[], None] | None = None,
    ) -> Receipt:
        receipt, _ = await self._transact(key, function, intent, mined=mined)
        return receipt

    def _intent(self, *parts: object) -> bytes:
        """Names a deed on this market's payment contract; see `Sender.send`."""
        return intent_of(self.market.payments, *parts)

    async def _logs(self, contract: Contract, event: str, **filters: Value) -> list[Event]:
        """Events of that kind, oldest first, as far as the node tells: hints, never facts.

        Where a node refuses a range, windows are read from the newest block backwards, each half
        as wide as the one refused; it gives up with `NetworkFailure` at `LEAST_WINDOW`.
        """
        topics = contract.topics(event, filters)

        def read(first: int, last: int) -> list[Event]:
            logs = self._node.eth.logs(contract.address, topics, first, last)
            return [contract.event(event, log) for log in logs]

        newest = (await self.head()).number
        width, found = newest + 1, list[Event]()
        for _ in range(LOG_REQUESTS):
            oldest = max(0, newest - width + 1)
            try:
                window = await self._node.read_once(read, oldest, newest)
            except NetworkFailure:
                if width <= LEAST_WINDOW:
                    raise
                width = max(LEAST_WINDOW, min(width // 2, LOG_WINDOW))
                continue
            found = [*window, *found]
            if oldest == 0:
                break
            newest = oldest - 1
        return found
