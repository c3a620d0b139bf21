# SPDX-License-Identifier: Apache-2.0
"""The nodes' agents in memory: what is frozen, until when, and how much memory there is."""

from collections.abc import Collection
from dataclasses import dataclass, field

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.freezer.door import LEASE_S, FreezerAnswer, FrozenView, NodeMemory


@dataclass
class FakeFreezer:
    """As `Freezer`; while `away` it does not answer, and what was frozen is thawed in time all the same."""

    there: bool = True
    away: bool = False
    refuses: bool = False
    restores: bool = True
    memory_mib: int = 7
    memory: NodeMemory = field(default_factory=lambda: NodeMemory(1000, 900))
    gone: set[str] = field(default_factory=set)
    """Replicas whose node alone is away."""

    leases: dict[str, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def frozen(self) -> set[str]:
        """What is frozen now."""
        return {uid for uid, until in self.leases.items() if until > trio.current_time()}

    def _answer(self, uids: Collection[str]) -> list[FreezerAnswer]:
        held = self.frozen()
        views = {uid: FrozenView(uid in held, self.memory_mib, self.restores) for uid in uids}
        return [FreezerAnswer(views, self.memory)]

    async def _called(self, verb: str) -> None:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise NetworkFailure("the node's agent does not answer")
        self.told.append(verb)

    async def size(self, uids: Collection[str]) -> dict[str, FrozenView]:
        await self._called("size")
        return dict(self._answer(uids)[0].replicas)

    async def known(self, uids: Collection[str]) -> dict[str, FrozenView]:
        try:
            return await self.size(uids)
        except NetworkFailure:
            return {}

    async def freeze(self, uids: Collection[str]) -> list[FreezerAnswer]:
        await self._called("freeze")
        if not self.refuses:
            self.leases |= dict.fromkeys(uids, trio.current_time() + LEASE_S)
        return self._answer(uids)

    async def keep(self, uids: Collection[str]) -> tuple[list[FreezerAnswer], list[NetworkFailure]]:
        try:
            here = await self.freeze([uid for uid in uids if uid not in self.gone])
            return here, [NetworkFailure("a node is away")] if self.gone.intersection(uids) else []
        except NetworkFailure as error:
            return [], [error]

    async def thaw(self, uids: Collection[str]) -> None:
        await self._called("thaw")
        for uid in uids:
            self.leases.pop(uid, None)
