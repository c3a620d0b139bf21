# SPDX-License-Identifier: Apache-2.0
"""A daemon and an owner for changes of the operator's key, in memory; the chain is the fake one."""

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.chain.chain import FakeChain
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.provider.admin.reports.operator_key import OperatorKeyView
from trustedpods.provider.keys.file import read_key


def sign(chain, owner, transactions):
    """The owner's wallet: what each transaction says by its calldata is so from now on."""
    for one in transactions:
        if one.sender is None:
            chain.give(one.to, 0, one.value)
            continue
        assert one.sender == owner
        place = (owner, address_from_bytes(one.data[16:36]))
        (chain.operators.add if one.data[-1] else chain.operators.discard)(place)


@dataclass
class FakeKeySite:
    """`used` is the running daemon's key, None while none runs; `under_way` what former keys sent."""

    path: Path
    chain_door: FakeChain = field(default_factory=FakeChain)
    used: bytes | None = None
    under_way: int = 0
    owner: bytes | None = None
    view: OperatorKeyView | None = None
    """What a real daemon answered, where there is one."""

    @asynccontextmanager
    async def chain(self):
        yield self.chain_door

    async def daemon(self):
        if self.used is None:
            return self.view
        return OperatorKeyView(
            address=address_of(self.used),
            balance="1",
            named=True,
            unfinished=0,
            former_unfinished=self.under_way,
            claims_out=0,
            change=None,
            trouble=None,
        )

    def owner_key(self):
        return self.owner

    def daemons_user(self):
        return os.geteuid(), os.getegid()

    def restart(self):
        self.used = read_key(self.path)
