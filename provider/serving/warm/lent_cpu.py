# SPDX-License-Identifier: Apache-2.0
"""CPU of frozen replicas, lent to the scheduler and reclaimed: behind a wake, never before its answer.

Their nodes' agents gave them all of it back with the thaw. What was asked for is compared with what is to be
at every look: so a daemon that is killed between two steps leaves nothing that the next one does not mend.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

import trio

from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.scaler.freezing import CpuMove, cpu_move
from trustedpods.provider.doors import Doors
from trustedpods.provider.supervise import supervise

_log = logging.getLogger(__name__)

LOOK_S = 5.0
"""Between two looks at all replicas, if none was thawed."""

BEHIND_S = 1.0
"""After a thaw: its first answer needs the machine more, and its node's agent holds its CPU meanwhile."""

MOST_BEHIND_S = 10.0
"""Where pods wake all the time: well within the minute for which the agent holds their CPU."""

RETRY_S = 0.5
"""Before replicas are asked for again that could not be; twice as long each time, up to `LOOK_S`."""

AT_ONCE = 4
"""Side by side: fifty pods that wake together must leave the API server room for what they wait for."""

Frozen = Callable[[], Mapping[str, tuple[float, bool]]]
"""For how long each replica has been frozen, by uid, and whether its node restores its CPU."""


class LentCpu:
    """Of all replicas that `views` shows. Nobody else asks for the CPU of a replica that is there."""

    def __init__(self, doors: Doors, views: Callable[[], Iterable[PodView]], frozen: Frozen) -> None:
        self._doors = doors
        self._views = views
        self._frozen = frozen
        self._thawed = trio.Event()
        self._lent: set[str] = set()
        """What this process has lent and not reclaimed: the watch may not show it yet."""
        self._refused: set[str] = set()
        """Those that the cluster does not let lend: they keep their CPU."""

    def begin(self, nursery: trio.Nursery) -> None:
        """Look from now on."""
        nursery.start_soon(supervise, "CPU of frozen pods", self._keep)

    def look_soon(self) -> None:
        """Something was thawed."""
        self._thawed.set()

    async def _keep(self) -> None:
        pause, retry = LOOK_S, RETRY_S
        while True:
            with trio.move_on_after(pause):
                await self._thawed.wait()
            await self._until_quiet()
            if await self.look():
                pause, retry = LOOK_S, RETRY_S
            else:
                pause, retry = retry, min(2 * retry, LOOK_S)

    async def _until_quiet(self) -> None:
        """Where pods wake one after another wait for the last of them, for a while."""
        with trio.move_on_after(MOST_BEHIND_S):
            while self._thawed.is_set():
                self._thawed = trio.Event()
                await trio.sleep(BEHIND_S)

    async def look(self) -> bool:
        """Compare all once, and ask for what is to be; whether nothing has to be asked for again."""
        views = [view for view in self._views() if not view.over and view.deleted_at is None]
        for known in (self._lent, self._refused):
            known.intersection_update(view.uid for view in views)
        limiter, done = trio.CapacityLimiter(AT_ONCE), list[bool]()

        async def move(view: PodView) -> None:
            async with limiter:
                done.append(await self._move(view))

        frozen = self._frozen()
        async with trio.open_nursery() as nursery:
            for view in views:
                if self._wanted(view, frozen) is not None:
                    nursery.start_soon(move, view)
        return all(done)

    def _wanted(self, view: PodView, frozen: Mapping[str, tuple[float, bool]]) -> CpuMove | None:
        seconds, restored = frozen.get(view.uid, (None, False))
        lent = view.asks_less or view.uid in self._lent
        return cpu_move(seconds, lent=lent, restored=restored and view.uid not in self._refused)

    async def _move(self, view: PodView) -> bool:
        """Decided anew: the turn may have come late. Looks follow one another, so the last one counts."""
        wanted = self._wanted(view, self._frozen())
        if wanted is None:
            return True
        if wanted is CpuMove.LEND:
            self._lent.add(view.uid)  # before: the answer may be lost
        try:
            asleep = wanted is CpuMove.LEND
            await self._doors.cluster.set_asleep_cpu(view.namespace, view.name, view.uid, asleep=asleep)
        except TrustedPodsError as error:
            self._failed(view, wanted, error)
            return False
        if wanted is CpuMove.RECLAIM:
            self._lent.discard(view.uid)
        return True

    def _failed(self, view: PodView, wanted: CpuMove, error: TrustedPodsError) -> None:
        """A replica that the cluster does not let lend is left alone; to reclaim is tried for ever."""
        if wanted is CpuMove.LEND and isinstance(error, Refused):
            self._refused.add(view.uid)
            self._lent.discard(view.uid)
            _log.warning("%s: frozen, it keeps its CPU: %s", view.label, error)
        else:
            _log.warning("%s: its CPU is to be asked for again: %s", view.label, error)
