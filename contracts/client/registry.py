# SPDX-License-Identifier: Apache-2.0
"""The list of providers."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import trio

from trustedpods.contracts.client.base import ChainBase
from trustedpods.contracts.client.signers.signer import SigningKey, address_with
from trustedpods.contracts.records import Receipt
from trustedpods.contracts.registry_rows import (
    RegistryRow,
    RowFilter,
    decode_page,
    endpoint_bytes,
    entry,
    pack_offer,
    row_of_struct,
)
from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import Address, address_bytes, keccak256
from trustedpods.protocol.messages.provider import LeastTerms, Prices

T = TypeVar("T")

PAGE_ROWS = 1_000
"""About 24k gas a row: a page stays below the 30M that nodes allow an eth_call."""

SELECT_ROWS = 2_500
"""Rows that one `select` looks at: at most 11k gas each."""

LEAST_ROWS = 50
"""Where a node allows less, halves are asked for, down to this."""

HITS_IN_ONE = 50
"""Calls in one JSON-RPC batch: common nodes allow a hundred."""

PAGES_AT_ONCE = 4
HITS_AT_ONCE = 8
"""Requests under way at once: enough to hide the way to the node, too few to meet its limits."""

_WORD = 32
_PAGE_RAW = keccak256(b"pageRaw(uint256,uint256,bool)")[:4]
_SELECT = keccak256(b"select((uint8,uint8,bytes12,address,uint256,uint32),uint256,uint256,uint256)")[:4]
_COUNT = keccak256(b"count()")[:4]


class RegistryActions(ChainBase):
    """Everything that the registry can do."""

    async def providers(self) -> list[RegistryRow]:
        """All rows, read at one block; a row is a claim, not a proof.

        `remove` moves the last row into the gap, so pages of different blocks could miss one.
        """
        block, count = await self._extent()
        return await self._rows([(0, count)], block, PAGES_AT_ONCE)

    async def select(self, wanted: RowFilter) -> list[RegistryRow]:
        """The rows that match, filtered by the node and read at one block."""
        block, count = await self._extent()
        positions: list[int] = []
        spans = [(start, min(count, start + SELECT_ROWS)) for start in range(0, count, SELECT_ROWS)]
        for found in await _together(
            [partial(self._select, wanted, start, end, block) for start, end in spans], PAGES_AT_ONCE
        ):
            positions += found
        return await self._hits(positions, block)

    async def provider(self, owner: Address, daemon: int) -> RegistryRow | None:
        """One row; None means *read, and not there*."""
        try:
            struct = await self._call(self._registry.functions.get(owner, daemon))
        except Refused as error:
            if error.rule != "Unknown":
                raise
            return None
        return row_of_struct(struct)

    async def register(self, key: SigningKey, row: RegistryRow) -> Receipt:
        """Add or replace the key's row; `updated_at` is the chain's."""
        if address_with(key) != row.owner:
            raise LocalProtocolError(f"this key is not the row's owner, {row.owner}")
        return await self._do(key, self._registry.functions.register(row.daemon, entry(row)))

    async def set_prices(self, key: SigningKey, daemon: int, prices: Prices, least: LeastTerms) -> Receipt:
        """Change prices and least terms of the key's row; open channels keep theirs."""
        return await self._do(key, self._registry.functions.setPrices(daemon, pack_offer(prices, least)))

    async def update_row(
        self, key: SigningKey, owner: Address, daemon: int, profile_digest: bytes, endpoint: str
    ) -> Receipt:
        """Change endpoint and profile, as the owner or its operator."""
        raw = endpoint_bytes(endpoint)
        return await self._do(key, self._registry.functions.update(owner, daemon, profile_digest, raw))

    async def heartbeat(self, key: SigningKey, owner: Address, daemon: int) -> Receipt:
        """Say that the daemon is still there, as the owner or its operator."""
        return await self._do(key, self._registry.functions.heartbeat(owner, daemon))

    async def remove(self, key: SigningKey, daemon: int) -> Receipt:
        """Remove the key's row."""
        return await self._do(key, self._registry.functions.remove(daemon))

    # ---- inside ----

    async def _extent(self) -> tuple[int, int]:
        """The block that everything is read at, and how many rows there are in it."""
        block = (await self.head()).number
        raw = await self._node.read(self._node.eth_call, self.market.registry, _COUNT, block)
        return block, int.from_bytes(_exactly(raw, _WORD), "big")

    async def _hits(self, positions: Sequence[int], block: int) -> list[RegistryRow]:
        """Rows at these positions, in order; each is a small call, and many go in one request."""
        batches = [positions[at : at + HITS_IN_ONE] for at in range(0, len(positions), HITS_IN_ONE)]
        found = await _together([partial(self._batch, one, block) for one in batches], PAGES_AT_ONCE)
        return [row for batch in found for row in batch]

    async def _batch(self, positions: Sequence[int], block: int) -> list[RegistryRow]:
        calls = [_PAGE_RAW + _words(position, 1, 1) for position in positions]

        def read() -> list[RegistryRow]:
            answers = self._node.eth_calls(self.market.registry, calls, block)
            return [row for raw in answers for row in decode_page(_only_bytes(raw))]

        try:
            return await self._node.read(read)
        except NetworkFailure as failure:
            if failure.rule != "node":
                raise
        return await self._rows([(position, position + 1) for position in positions], block, HITS_AT_ONCE)

    async def _rows(self, spans: Sequence[tuple[int, int]], block: int, at_once: int) -> list[RegistryRow]:
        pages = [
            partial(self._page, start, min(end, start + PAGE_ROWS), block)
            for first, end in spans
            for start in range(first, end, PAGE_ROWS)
        ]
        return [row for page in await _together(pages, at_once) for row in page]

    async def _page(self, start: int, end: int, block: int) -> list[RegistryRow]:
        data = _PAGE_RAW + _words(start, end - start, 1)

        def read() -> list[RegistryRow]:
            raw = self._node.eth_call(self.market.registry, data, block)
            return decode_page(_only_bytes(raw))

        try:
            return await self._node.read(read)
        except NetworkFailure as failure:
            if failure.rule != "node" or end - start <= LEAST_ROWS:
                raise
        middle = (start + end) // 2
        return await self._page(start, middle, block) + await self._page(middle, end, block)

    async def _select(self, wanted: RowFilter, start: int, end: int, block: int) -> list[int]:
        trust, tee, region, token, ceiling, since = wanted.words()
        head = (
            _words(trust, tee)
            + region.ljust(_WORD, b"\0")
            + address_bytes(Address(token)).rjust(_WORD, b"\0")
        )
        data = _SELECT + head + _words(ceiling, since, start, end - start, end - start)
        raw = await self._node.read(self._node.eth_call, self.market.registry, data, block)
        words = [int.from_bytes(raw[at : at + _WORD], "big") for at in range(0, len(raw), _WORD)]
        if words[:1] != [2 * _WORD] or len(words) != 3 + words[2] or words[1] != end:
            raise NetworkFailure(
                "the node's answer does not fit the registry", hint="is this the right chain?"
            )
        return words[3:]


async def _together(tasks: Sequence[Callable[[], Awaitable[T]]], at_once: int) -> list[T]:
    """What the tasks return, in order, with so many under way at once; the first failure is raised."""
    found: dict[int, T] = {}
    failures: list[TrustedPodsError] = []
    limit = trio.CapacityLimiter(at_once)

    async def run(place: int, task: Callable[[], Awaitable[T]]) -> None:
        try:
            async with limit:
                found[place] = await task()
        except TrustedPodsError as error:
            failures.append(error)
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for place, task in enumerate(tasks):
            nursery.start_soon(run, place, task)
    if failures:
        raise failures[0]
    return [found[place] for place in range(len(tasks))]


def _words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(_WORD, "big") for number in numbers)


def _exactly(raw: bytes, size: int) -> bytes:
    if len(raw) != size:
        raise _unfit()
    return raw


def _only_bytes(raw: bytes) -> bytes:
    """The one `bytes` value of an ABI-encoded answer."""
    size = int.from_bytes(raw[_WORD : 2 * _WORD], "big")
    if int.from_bytes(raw[:_WORD], "big") != _WORD or 2 * _WORD + size > len(raw):
        raise _unfit()
    return raw[2 * _WORD : 2 * _WORD + size]


def _unfit() -> NetworkFailure:
    return NetworkFailure("the node's answer does not fit the registry", hint="is this the right chain?")
