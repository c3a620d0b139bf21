# SPDX-License-Identifier: Apache-2.0
"""The list of providers."""

from trustedpods.contracts.client.base import ChainBase
from trustedpods.contracts.records import Receipt
from trustedpods.contracts.rows import RegistryRow, decode_page, endpoint_bytes, entry, pack_offer
from trustedpods.contracts.typed import address_of
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages import LeastTerms, Prices

PAGE_ROWS = 1_000
"""About 20k gas a row: a page stays below the 30M that nodes allow an eth_call."""


class RegistryActions(ChainBase):
    """Everything that the registry can do."""

    async def providers(self) -> list[RegistryRow]:
        """All rows, read at one block; a row is a claim, not a proof."""
        block = (await self.head()).number
        count = await self._call(self._registry.functions.count(), block)
        rows: list[RegistryRow] = []
        for start in range(0, count, PAGE_ROWS):
            raw = await self._call(self._registry.functions.pageRaw(start, PAGE_ROWS, True), block)
            rows += await self._node.read(decode_page, raw)
        return rows

    async def register(self, key: bytes, row: RegistryRow) -> Receipt:
        """Add or replace the key's row; `updated_at` is the chain's."""
        if address_of(key) != row.owner:
            raise LocalProtocolError(f"this key is not the row's owner, {row.owner}")
        return await self._do(key, self._registry.functions.register(row.daemon, entry(row)))

    async def set_prices(self, key: bytes, daemon: int, prices: Prices, least: LeastTerms) -> Receipt:
        """Change prices and least terms of the key's row; open channels keep theirs."""
        return await self._do(key, self._registry.functions.setPrices(daemon, pack_offer(prices, least)))

    async def update_row(
        self, key: bytes, owner: Address, daemon: int, profile_digest: bytes, endpoint: str
    ) -> Receipt:
        """Change endpoint and profile, as the owner or its operator."""
        raw = endpoint_bytes(endpoint)
        return await self._do(key, self._registry.functions.update(owner, daemon, profile_digest, raw))

    async def heartbeat(self, key: bytes, owner: Address, daemon: int) -> Receipt:
        """Say that the daemon is still there, as the owner or its operator."""
        return await self._do(key, self._registry.functions.heartbeat(owner, daemon))

    async def remove(self, key: bytes, daemon: int) -> Receipt:
        """Remove the key's row."""
        return await self._do(key, self._registry.functions.remove(daemon))
