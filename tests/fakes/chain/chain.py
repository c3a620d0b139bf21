# SPDX-License-Identifier: Apache-2.0
"""A chain in memory with the methods of `contracts.client.Chain`, for other rooms' tests.

Rules and arithmetic are the contract's, by its twin in plain numbers. Time stands still unless a
test moves `now`. `broken` makes every call fail like a node that is gone; `log` lists the writes.
"""

import trio
from eth_abi.abi import encode

from tests.fakes.chain.payments import FakePayments
from tests.fakes.chain.rows import FakeRows
from trustedpods.contracts.client.signers.signer import TransactionToSign
from trustedpods.contracts.records import Block, TokenInfo
from trustedpods.protocol.ids import keccak256

TRANSFER = keccak256(b"transfer(address,uint256)")[:4]


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

    async def has_code(self, who):
        self._reach()
        return who not in self.bare

    async def resume(self, key, *, told=False):
        self._reach()
        return []

    async def send_tokens(self, key, to, amount):
        sender = await self._signing(key, self.market.token, 0, self.transfer_data(to, amount))
        self._require_balance(sender, amount)
        self.tokens[sender] -= amount
        self.tokens[to] = self.tokens.get(to, 0) + amount
        return self._mined("send_tokens", to)

    async def send_gas(self, key, to, wei):
        sender = await self._signing(key, to, wei, b"")
        self.gas[sender] -= wei
        self.gas[to] = self.gas.get(to, 0) + wei
        return self._mined("send_gas", to)

    def transfer_data(self, to, amount):
        return TRANSFER + encode(["address", "uint256"], [to, amount])

    async def _signing(self, key, to, value, data):
        """Who sends; a signer is asked, as the real chain asks it."""
        if isinstance(key, bytes):
            return self._sender(key)
        asked = TransactionToSign(self.market.chain_id, self.number, to, value, data, 10**5, 2, 1)
        await trio.to_thread.run_sync(key.sign_transaction, asked)
        return key.address
