# SPDX-License-Identifier: Apache-2.0
"""The log of one container of one replica, read from the cluster until the replica has ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster.diagnosis import is_gone
from trustedpods.provider.cluster.log_parts import LogPart
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.followed.lines import LinePlace, LogLine, StampedLines
from trustedpods.provider.doors import Doors
from trustedpods.provider.serving.replica_watch import ReplicaWatch

LOOK_S = 2.0
"""Between two attempts at a log that cannot be read now, and two looks at the pod: changes come sooner."""

TRIES_ENDED = 3
"""Attempts at the log of a replica that has ended: what cannot be read then is gone."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Whose log: a replica has another uid than one of its name before it."""

    uid: str
    replica: str
    container: str


Put = Callable[[LogSource, LogLine], Awaitable[None]]
"""Takes a line; waits while there is no room for it."""


class OneLog:
    """Reads on over restarts of the container, and over a cluster that is away."""

    def __init__(
        self, doors: Doors, replicas: ReplicaWatch, view: PodView, source: LogSource, put: Put
    ) -> None:
        self._doors = doors
        self._replicas = replicas
        self._view = view
        self._source = source
        self._put = put
        self._after: LinePlace | None = None

    async def run(self, part: LogPart, after: LinePlace | None) -> None:
        """From *part*, without lines up to *after*, until nothing can come any more."""
        self._after = after
        failed = 0
        while True:
            view = self._now()
            ended = view is None or view.over
            restarts = self._view.restarts if view is None else view.restarts
            try:
                await self._read(part)
            except TrustedPodsError:
                failed += 1
                if ended and failed >= TRIES_ENDED:
                    return
                await self._changed()
            else:
                failed = 0
                if ended or not await self._started_again(restarts):
                    return
            if self._after is not None:
                part = LogPart(tail=None, since=self._after.second, stamped=True)

    async def _read(self, part: LogPart) -> None:
        view, container = self._view, self._source.container
        lines = StampedLines(self._after)
        async with self._doors.cluster.follow_logs(view.namespace, view.name, container, part) as pieces:
            async for piece in pieces:
                if is_gone(piece):
                    return
                await self._take(lines.feed(piece))
        await self._take(lines.end())

    async def _take(self, lines: list[LogLine]) -> None:
        for line in lines:
            await self._put(self._source, line)
            self._after = line.place

    def _now(self) -> PodView | None:
        return next((one for one in self._replicas.of(self._view.label) if one.uid == self._view.uid), None)

    async def _started_again(self, restarts: int) -> bool:
        """Wait for the next run of a container that has ended; False where there is none."""
        while (view := self._now()) is not None and not view.over:
            if view.restarts > restarts:
                return True
            await self._changed()
        return False

    async def _changed(self) -> None:
        with trio.move_on_after(LOOK_S):
            await self._replicas.next_change().wait()
