# SPDX-License-Identifier: Apache-2.0
"""`logs`: what a pod's containers wrote, whether a replica of it runs or not."""

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.pod import LogLines, LogsBody
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.pod import ENDED, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.store import last_logs
from trustedpods.provider.store.last_logs import KeptRun


class PodLogs:
    """The verb."""

    def __init__(self, doors: Doors, rights: CommandRights, bundles: Bundles) -> None:
        self._doors = doors
        self._rights = rights
        self._bundles = bundles

    async def logs(self, request: Request) -> None:
        """The last lines of a container: of the newest replica, else of the last that ran, or all before."""
        body = decode(request.opened.body, LogsBody)
        record = self._rights.commanded_pod(request.opened)
        kept = await self._doors.store.read(last_logs.runs_of, record.channel)
        container = self._container(record, body.container, kept)
        since = 0 if body.since_s is None else self._doors.now() - body.since_s
        mine = [run for run in kept if run.container == container and run.ended >= since]
        lines = None if body.previous or record.phase in ENDED else await self._live(record, container, body)
        if lines is not None:
            found = [lines]
        else:
            found = [_kept(run, body.tail) for run in (mine if body.previous else mine[-1:])]
        if not found:
            if body.since_s is not None and kept:
                found = [LogLines(container=container, data=b"")]  # it wrote, and nothing in that time
            else:
                raise Refused(_nothing(record, container, previous=body.previous), rule="no-replica")
        for line in found:
            await request.replies.send(line, final=line is found[-1])

    def _container(self, record: PodRecord, asked: str | None, kept: list[KeptRun]) -> str:
        """The one that was asked for, else the pod's first; of a pod that is gone what was kept says it."""
        names = list(dict.fromkeys(run.container for run in kept))
        if record.phase not in ENDED:
            spec = self._bundles.open(record).manifest.spec
            names = list(
                dict.fromkeys([*(c.name for c in (*spec.containers, *spec.init_containers)), *names])
            )
        elif not names:
            raise Refused(f"the pod is {record.phase}: {record.reason}", rule="phase")
        container = asked or names[0]
        if container not in names:
            raise Refused(f"no container {container!r}; there are {', '.join(names)}", rule="container")
        return container

    async def _live(self, record: PodRecord, container: str, body: LogsBody) -> LogLines | None:
        """Of the newest replica; None where none runs, or its container has not begun."""
        views = [view for view in await self._doors.cluster.pods(record.namespace) if _runs(view)]
        if not views:
            return None
        newest = max(views, key=lambda view: view.started_at or 0)
        try:
            data = await self._doors.cluster.logs(
                record.namespace, newest.name, container, body.tail, since_s=body.since_s
            )
        except Refused:
            return None
        return LogLines(container=container, data=data, replica=newest.name)


def _runs(view: PodView) -> bool:
    return view.started_at is not None and not view.over


def _kept(run: KeptRun, tail: int) -> LogLines:
    lines = run.data.splitlines(keepends=True)[-tail:]
    return LogLines(container=run.container, data=b"".join(lines), replica=run.replica, ended_at=run.ended)


def _nothing(record: PodRecord, container: str, *, previous: bool) -> str:
    if previous:
        return f"container {container!r}: of no run that ended anything is kept"
    return f"the pod is {record.phase}; container {container!r} has written nothing that is kept"
