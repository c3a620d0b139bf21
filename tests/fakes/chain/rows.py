# SPDX-License-Identifier: Apache-2.0
"""The registry contract in memory: one row for each daemon of an owner."""

from dataclasses import replace

from tests.fakes.chain.state import ChainState, require
from trustedpods.protocol.errors import LocalProtocolError


class FakeRows(ChainState):
    async def providers(self):
        self._reach()
        return list(self.rows.values())

    async def provider(self, owner, daemon):
        self._reach()
        return self.rows.get((owner, daemon))

    async def register(self, key, row):
        if self._sender(key) != row.owner:
            raise LocalProtocolError("this key is not the row's owner")
        self.rows[row.owner, row.daemon] = replace(row, updated_at=self.now)
        return self._mined("register", row.daemon)

    async def set_prices(self, key, daemon, prices, least):
        return self._change(key, self._sender(key), daemon, prices=prices, least=least)

    async def update_row(self, key, owner, daemon, profile_digest, endpoint):
        return self._change(key, owner, daemon, profile_digest=profile_digest, endpoint=endpoint)

    async def heartbeat(self, key, owner, daemon):
        return self._change(key, owner, daemon)

    async def remove(self, key, daemon):
        require(self.rows.pop((self._sender(key), daemon), None) is not None, "Unknown")
        return self._mined("remove", daemon)

    def _change(self, key, owner, daemon, **fields):
        sender = self._sender(key)
        require(sender == owner or (owner, sender) in self.operators, "Denied")
        require((owner, daemon) in self.rows, "Unknown")
        self.rows[owner, daemon] = replace(self.rows[owner, daemon], updated_at=self.now, **fields)
        return self._mined("row", daemon)
