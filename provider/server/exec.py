# SPDX-License-Identifier: Apache-2.0
"""`exec` and `terminal`: a command in a running container, for whoever may command the pod and nobody else.

What it is stays between client and pod: neither the pod's history nor a log of the daemon's has its words.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence

from trustedpods.manifests.check.seeds import filling_container
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, StoreFailure
from trustedpods.protocol.messages.exec import ExecBody, ExecEnded, ExecStarted, TerminalBody
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.billing.meter import Meter
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.pod import ENDED, PodRecord
from trustedpods.provider.core.traffic import Traffic
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversation_limits import LongVerbs
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec_streams import LONGEST_S, Carried, CommandStreams
from trustedpods.provider.store import history

_log = logging.getLogger(__name__)

MAX_PER_POD = 8
"""Commands of one pod at once: a backup, a shell, and some scripts of its owner's."""

MAX_PER_PUBLISHER = 16
"""Commands of one publisher's pods at once."""

NOTED = 16
"""Commands that a pod's history tells of: a job of every minute must not push everything else out."""

MAX_COMMANDS = 64
"""Commands of all pods at once; each holds up to 0.7 MiB of the daemon's memory."""


UntilThawed = Callable[[PodRecord], Awaitable[None]]
"""Returns when no replica of the pod is frozen."""


class PodCommands:
    """The verbs; `thawed` is awaited before anything begins in a replica."""

    def __init__(
        self, doors: Doors, rights: CommandRights, bundles: Bundles, meter: Meter, thawed: UntilThawed
    ) -> None:
        self._doors = doors
        self.thawed = thawed
        self._rights = rights
        self._bundles = bundles
        self._meter = meter
        self._running = LongVerbs(
            "commands run", f"a pod {MAX_PER_POD}, a publisher {MAX_PER_PUBLISHER}, all {MAX_COMMANDS}"
        )

    async def exec(self, request: Request) -> None:
        """Runs the command until it ends, its client goes away, or no byte moves for too long."""
        await self._run(request, decode(request.opened.body, ExecBody))

    async def terminal(self, request: Request) -> None:
        """The same on a terminal, which is not open for longer than `LONGEST_S`."""
        await self._run(request, decode(request.opened.body, TerminalBody))

    async def _run(self, request: Request, body: ExecBody | TerminalBody) -> None:
        record = self._rights.commanded_pod(request.opened)
        container = self._container(record, body.container)
        await self.thawed(record)
        views = await self._doors.cluster.pods(record.namespace)
        replica = replica_for(record, views, body.replica)
        publisher = record.ref.publisher
        bounds = {record.channel: MAX_PER_POD, publisher: MAX_PER_PUBLISHER, "all": MAX_COMMANDS}
        with self._running.one_more(bounds):
            request.replies.stream.outlast(PAUSE_S)
            await self._note(record, f"{_words(body)} started in container {container} of {replica}")
            place = (record.namespace, replica, container)
            code = await self._carry(request, body, place, self.booking(record))
        await request.replies.send(ExecEnded(exit_code=code), final=True)

    async def _carry(
        self,
        request: Request,
        body: ExecBody | TerminalBody,
        place: tuple[str, str, str],
        carried: Carried,
    ) -> int:
        started = ExecStarted(container=place[2], replica=place[1])
        exec_ = self._doors.cluster.exec
        if isinstance(body, ExecBody):
            async with exec_(*place, body.command, stdin=body.stdin) as command:
                await request.replies.send(started)
                return await CommandStreams(request, body, command, carried).run()
        async with exec_(*place, body.command, stdin=True, size=body.size) as command:
            try:
                await request.replies.send(started)
                return await CommandStreams(request, body, command, carried, longest_s=LONGEST_S).run()
            except BaseException:
                await command.hang_up()
                raise

    def _container(self, record: PodRecord, asked: str | None) -> str:
        if record.phase in ENDED:
            raise Refused(f"the pod is {record.phase}: {record.reason}", rule="phase")
        manifest = self._bundles.open(record).manifest
        spec = manifest.spec
        filling = [filling_container(manifest, volume) for volume in spec.volumes if volume.seed]
        names = [*(container.name for container in (*spec.containers, *spec.init_containers)), *filling]
        container = asked or names[0]
        if container not in names:
            raise Refused(f"no container {container!r}; there are {', '.join(names)}", rule="container")
        return container

    def booking(self, record: PodRecord) -> Carried:
        """What a command carries is traffic of the pod; what cannot be booked now is booked with the next."""
        booked = Traffic()

        async def carried(bytes_in: int, bytes_out: int) -> None:
            nonlocal booked
            new = Traffic(bytes_in=bytes_in - booked.bytes_in, bytes_out=bytes_out - booked.bytes_out)
            try:
                await self._meter.carried(record.channel, new)
            except StoreFailure as error:
                _log.warning("%s: what a command carried is not in the books yet: %s", record.label, error)
            else:
                booked = Traffic(bytes_in=bytes_in, bytes_out=bytes_out)

        return carried

    async def _note(self, record: PodRecord, text: str) -> None:
        await self._doors.store.write(history.note, record.channel, self._doors.now(), "exec", text, NOTED)


def _words(body: ExecBody | TerminalBody) -> str:
    """A command as it is told to others: how long it is."""
    kind = "a command" if isinstance(body, ExecBody) else "a command on a terminal,"
    return f"{kind} of {len(body.command)} word{'s' if len(body.command) > 1 else ''}"


def replica_for(record: PodRecord, views: Sequence[PodView], asked: str | None) -> str:
    """The replica to run a command in: the one asked for, by its name or its ordinal, else a ready one.

    Refused (rule "no-replica") where there is none, with what to do.
    """
    running = [view for view in views if view.started_at is not None and not view.over]
    staying = [view for view in running if view.deleted_at is None]
    if asked is not None:
        for view in running:
            if view.name == asked or (asked.isdecimal() and view.name == f"pod-{asked}"):
                return view.name
    if not staying and record.parked:
        raise Refused("no replica of the pod runs: its publisher has stopped it", rule="parked")
    if asked is not None:
        names = ", ".join(sorted(view.name for view in running)) or "none"
        raise Refused(f"no replica {asked!r} runs; there are: {names}", rule="no-replica")
    if not staying:
        raise Refused(
            f"no replica of the pod runs now (the pod is {record.phase})",
            rule="no-replica",
            hint="a request to the pod's URL wakes it; `scale: {min: 1}` keeps one awake",
        )
    return max(staying, key=lambda view: (view.ready, view.started_at or 0)).name
