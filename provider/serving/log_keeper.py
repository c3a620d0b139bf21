# SPDX-License-Identifier: Apache-2.0
"""Keeps what containers wrote last, before Kubernetes lets go of it with their replica.

Replicas that are to be scaled away are read before; those that end are listened to until they have
ended, as what an app writes at its end explains most; a container that was started again has left the
log of its run before. What ends while the daemon is away is not kept.
"""

import logging
from collections.abc import Iterable
from enum import StrEnum

import trio

from trustedpods.manifests.spec.lifecycle import MAX_GRACE_S
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.protocol.ids import ChannelId
from trustedpods.provider.cluster.diagnosis import is_gone
from trustedpods.provider.cluster.log_parts import LogPart
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.store import last_logs
from trustedpods.provider.store.last_logs import KEPT_RUN_BYTES, KeptRun

_log = logging.getLogger(__name__)

KEPT_LINES = 500
"""Asked for; of what they hold the last `KEPT_RUN_BYTES` are kept."""

LISTEN_LIMIT_S = MAX_GRACE_S + 10.0
"""To a replica that ends: the longest grace, and a little more."""

READ_LIMIT_S = 2.0
"""A scale-down waits for no longer; what could not be read by then is lost."""

MAX_AT_ONCE = 16
"""Logs that are read at once, of all pods: many replicas may end together."""


class LogReading(StrEnum):
    """How a log is to be read."""

    ENDING = "ending"
    """From now to its end."""
    ENDED = "ended"
    BEFORE = "before"
    """Of the run before the present one."""


def reading_of(before: PodView | None, now: PodView) -> LogReading | None:
    """What a change of a replica asks to be read, if anything."""
    if now.over:
        ended = (before is None or not before.over) and now.deleted_at is None  # else it was listened to
        return LogReading.ENDED if ended else None
    if now.deleted_at is not None:
        return LogReading.ENDING if before is None or before.deleted_at is None else None
    if before is not None and now.restarts > before.restarts:
        return LogReading.BEFORE
    return None


class LogKeeper:
    """Reads and stores. Nothing of it fails or waits for long: a log that is lost ends no pod."""

    def __init__(self, doors: Doors, pods: Pods) -> None:
        self._doors = doors
        self._pods = pods
        self._limit = trio.CapacityLimiter(MAX_AT_ONCE)
        self._nursery: trio.Nursery | None = None

    def begin(self, nursery: trio.Nursery) -> None:
        """Read from now on, with tasks in *nursery*."""
        self._nursery = nursery

    def changed(self, before: PodView | None, now: PodView) -> None:
        """A replica is another than *before*."""
        reading = reading_of(before, now)
        if reading is not None and self._nursery is not None:
            for container in now.containers:
                self._nursery.start_soon(self._keep, now, container, reading)

    async def before_end(self, views: Iterable[PodView]) -> None:
        """Read all of these now: they are about to be scaled away."""
        with trio.move_on_after(READ_LIMIT_S):
            async with trio.open_nursery() as nursery:
                for view in views:
                    if view.deleted_at is None and view.started_at is not None:
                        for container in view.containers:
                            nursery.start_soon(self._keep, view, container, LogReading.ENDED)

    async def _keep(self, view: PodView, container: str, reading: LogReading) -> None:
        record = self._pods.of_label(view.label)
        if record is None:
            return
        try:
            async with self._limit:
                data = await self._read(view, container, reading)
            if data:
                await self._store(record.channel, view, container, reading, data)
        except TrustedPodsError as error:
            _log.debug("%s: a log was not kept: %s", view.label, error)  # it never ran, or is gone
        except Exception:  # noqa: BLE001 - one pod must not stop the others
            _log.exception("%s: a log was not kept", view.label)

    async def _read(self, view: PodView, container: str, reading: LogReading) -> bytes:
        cluster = self._doors.cluster
        if reading is LogReading.ENDING:
            return await self._listen(view, container)
        previous = reading is LogReading.BEFORE
        return await cluster.logs(view.namespace, view.name, container, KEPT_LINES, previous=previous)

    async def _listen(self, view: PodView, container: str) -> bytes:
        """Until the container has ended, or the line has."""
        heard = bytearray()
        try:
            with trio.move_on_after(LISTEN_LIMIT_S):
                async with self._doors.cluster.follow_logs(
                    view.namespace, view.name, container, LogPart(KEPT_LINES)
                ) as pieces:
                    async for piece in pieces:
                        heard += piece
                        del heard[:-KEPT_RUN_BYTES]
        except TrustedPodsError:
            if not heard:
                raise
        return b"" if is_gone(heard) else bytes(heard)

    async def _store(
        self, channel: ChannelId, view: PodView, container: str, reading: LogReading, data: bytes
    ) -> None:
        ended = view.finished_at if view.finished_at is not None else self._doors.now()
        restarts = view.restarts - (reading is LogReading.BEFORE)
        run = KeptRun(container, view.uid, view.name, restarts, ended, whole_lines(data))
        if self._doors.store.disk.state is DiskState.GOOD:  # what else there is room for goes first
            await self._doors.store.write(last_logs.keep, channel, run)


def whole_lines(data: bytes) -> bytes:
    """The last `KEPT_RUN_BYTES`, without a line that they would begin in the middle of."""
    if len(data) <= KEPT_RUN_BYTES:
        return data
    kept = data[-KEPT_RUN_BYTES:]
    return kept.partition(b"\n")[2] or kept
