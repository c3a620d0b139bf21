# SPDX-License-Identifier: Apache-2.0
"""The verb `follow`: who may, how many, and which containers."""

from collections.abc import Callable

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.streams.followed import MAX_LINE, FollowBody, FollowStarted
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.core.followed.lines import LinePlace, LogLine
from trustedpods.provider.core.pod import ENDED, LEAVING, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversation_limits import LongVerbs
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec_streams import Carried
from trustedpods.provider.server.following.followed import FollowedLogs, FollowedPod, FollowTimes, began_ns
from trustedpods.provider.server.following.one_log import LogSource
from trustedpods.provider.serving.replica_watch import ReplicaWatch
from trustedpods.provider.store import last_logs

MAX_PER_PUBLISHER = 8
"""Followers of one publisher at once: a window for each of some pods."""

MAX_FOLLOWERS = 64
"""Followers of all publishers at once; each holds up to 1.8 MiB of the daemon's memory."""

_USUAL = FollowTimes()

MAX_LOGS = 256
"""Logs that are read at once for all of them; each is a connection to the API server."""


class LogFollowers:
    """The verb."""

    def __init__(
        self,
        doors: Doors,
        rights: CommandRights,
        bundles: Bundles,
        replicas: ReplicaWatch,
        booking: Callable[[PodRecord], Carried],
        times: FollowTimes = _USUAL,
    ) -> None:
        self._doors = doors
        self._rights = rights
        self._bundles = bundles
        self._replicas = replicas
        self._booking = booking
        self._times = times
        self._running = LongVerbs(
            "logs are followed", f"a publisher {MAX_PER_PUBLISHER}, all {MAX_FOLLOWERS}"
        )
        self._room = trio.CapacityLimiter(MAX_LOGS)

    @property
    def running(self) -> int:
        """Followers that are served now."""
        return self._running["all"]

    async def follow(self, request: Request) -> None:
        """Sends lines until the client ends, or the pod does."""
        body = decode(request.opened.body, FollowBody)
        record = self._rights.commanded_pod(request.opened)
        containers = self._containers(record, body.container)
        with self._running.one_more({record.ref.publisher: MAX_PER_PUBLISHER, "all": MAX_FOLLOWERS}):
            request.replies.stream.outlast(PAUSE_S)
            running = [view for view in self._replicas.of(record.label) if not view.over]
            started = FollowStarted(
                began=body.began or began_ns(self._doors.now()), replicas=len(running), containers=containers
            )

            def why_gone() -> str | None:
                return _gone(self._rights.commanded_pod(request.opened))

            pod = FollowedPod(record.label, containers, self._booking(record), self._room, why_gone)
            follower = FollowedLogs(request, body, pod, self._doors, self._replicas, self._times)
            if not running and body.began is None and body.tail:
                follower.show(await self._kept(record, containers, body))
            await request.replies.send(started)
            gone = await follower.run()
        await request.replies.send(Done(text=gone or "the client ended it"), final=True)

    def _containers(self, record: PodRecord, asked: str | None) -> list[str]:
        if (gone := _gone(record)) is not None:
            raise Refused(gone, rule="phase")
        spec = self._bundles.open(record).manifest.spec
        names = [one.name for one in spec.containers]
        every = [*names, *(one.name for one in spec.init_containers)]
        if asked is not None and asked not in every:
            raise Refused(f"no container {asked!r}; there are {', '.join(every)}", rule="container")
        return names if asked is None else [asked]

    async def _kept(
        self, record: PodRecord, containers: list[str], body: FollowBody
    ) -> list[tuple[LogSource, LogLine]]:
        """The last lines of each container, of a pod of which no replica runs."""
        since = 0 if body.since_s is None else self._doors.now() - body.since_s
        newest = {
            run.container: run
            for run in await self._doors.store.read(last_logs.runs_of, record.channel)
            if run.container in containers and run.ended >= since
        }
        return [
            (LogSource(run.uid, run.replica, run.container), LogLine(LinePlace(0, nth), text[:MAX_LINE]))
            for run in newest.values()
            for nth, text in enumerate(run.data.splitlines()[-body.tail :], 1)
        ]


def _gone(record: PodRecord) -> str | None:
    """Why nothing of the pod writes any more; None while something may."""
    if record.phase in ENDED or record.phase in LEAVING or record.phase is Phase.RETAINED:
        return f"the pod is {record.phase}" + (f": {record.reason}" if record.reason else "")
    return None
