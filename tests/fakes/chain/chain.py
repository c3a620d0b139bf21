# SPDX-License-Identifier: Apache-2.0
"""A chain in memory with the methods of `contracts.client.Chain`, for other rooms' tests.

Rules and arithmetic are the contract's, by its twin in plain numbers. Time stands still unless a
test moves `now`. `broken` makes every call fail like a node that is gone; `log` lists the writes.
"""

from tests.fakes.chain.payments import FakePayments
from tests.fakes.chain.rows import FakeRows
from trustedpods.contracts.records import Block, TokenInfo


class FakeChain(FakePayments, FakeRows):
    """The contracts, and what the node itself answers."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.aclose()

    async def aclose(self):
        pass

    disagreeing = ()
    """What a client of several nodes tells of them."""

    def nodes(self):
        return self.disagreeing

    async def head(self):
        self._reach()
        return Block(self.number, self.now, self.number.to_bytes(32, "big"))

    async def check_market(self):
        self._reach()

    async def token_info(self):
        self._reach()
        return TokenInfo("TPT", self.decimals)

    async def token_balance(self, who):
        self._reach()
        return self.tokens.get(who, 0)

    async def gas_balance(self, who):
        self._reach()
        return self.gas.get(who, 0)

    async def gas_price(self):
        self._reach()
        return self.wei_per_gas

    async def resume(self, key):
        self._reach()
        return []
