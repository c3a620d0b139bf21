# SPDX-License-Identifier: Apache-2.0
"""Freezes in the ledger: written before a node is asked for one, ended once its thaw was seen.

So whenever the daemon is killed, no second in which a replica was frozen costs CPU.
"""

from collections.abc import Callable, Collection, Mapping

import trio

from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.cluster.freezer.door import LEASE_S
from trustedpods.provider.core.metering import Freeze
from trustedpods.provider.doors import Doors
from trustedpods.provider.store import ledger

SLACK_S = 5.0
"""An agent looks each second at what has lapsed, and the kernel is given two to thaw it."""

LAPSE_S = LEASE_S + SLACK_S
"""After so long nothing is frozen that nobody asked for."""


class FreezeBook:
    """The open freezes of one ledger. Its methods raise what the store raises."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._began = trio.current_time()
        self._turn = trio.Lock()
        self._left: set[str] | None = None
        """What the daemon before left open, and nobody has seen thawed yet."""
        self.unseen: set[str] = set()
        """What an agent should have thawed long ago, and nobody has seen: until then it costs no CPU."""

    async def begin(self, channel: ChannelId, memory_mib: Mapping[str, int]) -> None:
        """These replicas, by uid, are about to be frozen with so much memory."""
        async with self._turn:
            await self._read_left()
            now = self._doors.now()
            for uid, mib in memory_mib.items():
                await self._doors.store.write(ledger.record_freeze, channel, Freeze(uid, now, None, mib))

    async def measure(self, memory_mib: Mapping[str, int]) -> None:
        """They are frozen, and hold so much."""
        if memory_mib:
            await self._doors.store.write(ledger.measure_freezes, memory_mib)

    async def thawed(self, uids: Collection[str]) -> None:
        """These run, whoever froze them; `end_all_but` is next."""
        (await self._read_left()).difference_update(uids)
        self.unseen.difference_update(uids)

    async def end_all_but(self, frozen: Callable[[], Collection[str]]) -> None:
        """End all that are open, but of those that may be frozen: *frozen*, what was left, and `unseen`.

        It is asked once what is open was read: by then all of that is known. What was left becomes unseen
        after a lease.
        """
        async with self._turn:
            left = await self._read_left()
            if trio.current_time() - self._began >= LAPSE_S:
                self.unseen |= left
                left.clear()
            written = await self._doors.store.read(ledger.open_freezes)
            held = set(frozen())
            ended = [uid for uid in written if uid not in held | left | self.unseen]
            if ended:
                await self._doors.store.write(ledger.end_freezes, ended, self._doors.now())

    async def _read_left(self) -> set[str]:
        """Before this process writes any of its own."""
        if self._left is None:
            found = set(await self._doors.store.read(ledger.open_freezes))
            self._left = found if self._left is None else self._left
        return self._left
