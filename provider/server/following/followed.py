# SPDX-License-Identifier: Apache-2.0
"""One follower at the provider: logs of all replicas, merged, paced by whoever reads them.

A log is not read on while its lines wait for the reader: what it holds stays in the node's file. One task
alone sends, for a send that is cancelled would spoil the stream before the last word.
"""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import trio

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.streams.followed import (
    MAX_LINES,
    MAX_PIECE,
    MAX_SOURCES,
    WINDOW,
    FollowBody,
    FollowedLine,
    FollowedLines,
    FollowedLog,
    FollowInput,
    FollowNote,
)
from trustedpods.protocol.net.bounds import PAUSE_S
from trustedpods.protocol.net.streams import END
from trustedpods.protocol.sealing.inputs import MAX_SEALED, InputOpener
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.log_parts import LogPart
from trustedpods.provider.cluster.views import PodView
from trustedpods.provider.core.followed.lines import SECOND_NS, LinePlace, LogLine
from trustedpods.provider.core.followed.merging import MergedLines, cost_of
from trustedpods.provider.doors import Doors
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.exec_streams import BOOK_S, Carried
from trustedpods.provider.server.following.one_log import LOOK_S, LogSource, OneLog
from trustedpods.provider.serving.replica_watch import ReplicaWatch

WhyGone = Callable[[], str | None]
"""Why the pod is none any more; None while it is. Raises Refused for a follower that may ask no more."""

ASLEEP_S = 4.0
"""Without a replica before it is said: an update that ends one first has the next sooner."""

GATHER_S = 0.05
"""After a reply that left nothing: one that writes line by line costs at most twenty replies a second."""

LAST_S = 10.0
"""For the last lines of a pod that is gone."""


@dataclass(frozen=True, slots=True)
class FollowTimes:
    """Seconds: without a word of a reader until lines are dropped, without a replica, between entries."""

    patience_s: float = PAUSE_S
    asleep_s: float = ASLEEP_S
    book_s: float = BOOK_S


_USUAL = FollowTimes()


@dataclass(frozen=True, slots=True)
class FollowedPod:
    """Which logs: of these containers of each replica that the watch shows under the pod's label.

    `carried` books what was sent, `room` bounds the logs that are read for all followers.
    """

    label: str
    containers: list[str]
    carried: Carried
    room: trio.CapacityLimiter
    why_gone: WhyGone


class FollowedLogs:
    """Sends lines until the client goes, or the pod does."""

    def __init__(
        self,
        request: Request,
        body: FollowBody,
        pod: FollowedPod,
        doors: Doors,
        replicas: ReplicaWatch,
        times: FollowTimes = _USUAL,
    ) -> None:
        self._request = request
        self._body = body
        self._pod = pod
        self._doors = doors
        self._replicas = replicas
        self._carried = pod.carried
        self._room = trio.CapacityLimiter(MAX_SOURCES)
        self._times = times
        self._opener = InputOpener(body.input_key, request.opened.digest)
        self._lines = MergedLines[LogSource]()
        self._notes: deque[FollowNote] = deque()
        self._sent = self._taken = self._bytes_out = 0
        self._moved = 0.0
        self._bell, self._roomy = trio.Event(), trio.Event()
        self._seen: set[str] = set()
        self._reading = 0
        self._full = self._finished = False
        self._gone: str | None = None
        self._trouble: list[TrustedPodsError] = []

    def show(self, kept: list[tuple[LogSource, LogLine]]) -> None:
        """Lines of runs that have ended, before all others."""
        for source, line in kept:
            if self._lines.has_room(source):
                self._lines.put(source, line)

    async def run(self) -> str | None:
        """Why the pod is gone; None where the client has ended it.

        Raises NetworkFailure when the client is gone, RemoteProtocolError for what does not belong here.
        """
        self._moved = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._guarded, self._from_client)
                nursery.start_soon(self._guarded, self._watch, nursery)
                nursery.start_soon(self._keep_booking)
                await self._to_client()
                nursery.cancel_scope.cancel()
        finally:  # also where the conversation is ended from outside
            with trio.CancelScope(shield=True):
                await self._carried(0, self._bytes_out)
        if self._trouble and self._trouble[0].rule != END:
            raise self._trouble[0]
        return self._gone

    async def _guarded(self, task: Callable[..., Awaitable[object]], *words: object) -> None:
        try:
            await task(*words)
        except TrustedPodsError as error:
            self._trouble.append(error)
            self._bell.set()

    # ---- from the client -------------------------------------------------------------------------

    async def _from_client(self) -> None:
        while True:
            sealed = await self._request.replies.stream.receive(MAX_SEALED, None)
            taken = self._opener.open_as(sealed, FollowInput).taken
            if not self._taken <= taken <= self._sent:
                raise RemoteProtocolError("more lines were taken than were sent", rule="exec-window")
            self._taken, self._moved = taken, trio.current_time()
            self._bell.set()

    # ---- from the logs ---------------------------------------------------------------------------

    async def _watch(self, nursery: trio.Nursery) -> None:
        """Read the log of each replica that begins; say that there is none; end with the pod."""
        first, alone_since, told = True, trio.current_time(), False
        while self._gone is None:
            changed = self._replicas.next_change()
            views = self._replicas.of(self._pod.label)
            for view in views:
                self._join(view, nursery, first=first)
            first = False
            if any(not view.over for view in views):
                alone_since, told = trio.current_time(), False
            elif not told and trio.current_time() - alone_since >= self._times.asleep_s:
                told = True
                self._note("asleep", "no replica of the pod runs; lines come when it wakes")
            self._gone = self._pod.why_gone()
            if self._gone is None:
                with trio.move_on_after(LOOK_S):
                    await changed.wait()
        with trio.move_on_after(LAST_S):
            while self._reading or not self._lines.empty:
                await self._roomy.wait()
        self._finished = True
        self._bell.set()

    def _join(self, view: PodView, nursery: trio.Nursery, *, first: bool) -> None:
        if view.uid in self._seen or not (view.begun or view.over):
            return
        self._seen.add(view.uid)
        if view.over and first and self._body.began is None:
            return  # it ended before anybody followed it
        for container in self._pod.containers:
            if container in view.containers:
                self._reading += 1
                nursery.start_soon(self._read, view, container, first)

    async def _read(self, view: PodView, container: str, first: bool) -> None:
        source = LogSource(view.uid, view.name, container)
        part, after = self._part(source, first=first)
        mine, of_all = self._room, self._pod.room
        try:
            if not self._full and not (mine.available_tokens and of_all.available_tokens):
                self._full = True
                self._note("missing", "too many logs are followed now: some wait until others end")
            async with mine, of_all:
                await OneLog(self._doors, self._replicas, view, source, self._put).run(part, after)
        finally:
            self._reading -= 1
            self._ring_roomy()

    def _part(self, source: LogSource, *, first: bool) -> tuple[LogPart, LinePlace | None]:
        """From where a log is read, and which lines of it are known."""
        body = self._body
        if body.began is not None:
            came = {(one.replica, one.container): LinePlace(one.at, one.nth) for one in body.positions}
            after = came.get((source.replica, source.container), LinePlace(body.began, 0))
            return LogPart(None, after.second, stamped=True), after
        if not first:
            return LogPart(None, stamped=True), None
        since = None if body.since_s is None else UnixSeconds(self._doors.now() - body.since_s)
        return LogPart(body.tail, since, stamped=True), None

    async def _put(self, source: LogSource, line: LogLine) -> None:
        while not self._lines.has_room(source):
            left = self._moved + self._times.patience_s - trio.current_time()
            if left <= 0:
                self._lines.drop(source, line)
                await trio.lowlevel.checkpoint()
                return
            with trio.move_on_after(left):
                await self._roomy.wait()
        self._lines.put(source, line)
        self._bell.set()

    def _note(self, about: Literal["asleep", "missing"], text: str) -> None:
        self._notes.append(FollowNote(about=about, text=text))
        self._bell.set()

    # ---- to the client ---------------------------------------------------------------------------

    async def _to_client(self) -> None:
        while not self._trouble:
            self._bell = trio.Event()
            message = self._next()
            if message is None:
                if self._finished:
                    return
                await self._bell.wait()
                continue
            try:
                await self._request.replies.send(message)
            except NetworkFailure as error:
                self._trouble.append(error)
                return
            if self._lines.empty:
                await trio.sleep(GATHER_S)

    def _ring_roomy(self) -> None:
        self._roomy.set()
        self._roomy = trio.Event()

    def _next(self) -> FollowNote | FollowedLines | None:
        if self._notes:
            return self._notes.popleft()
        in_flight = self._sent - self._taken
        if self._lines.empty or in_flight >= WINDOW:
            return None
        taken = self._lines.take(min(MAX_PIECE, WINDOW - in_flight), MAX_LINES)
        self._ring_roomy()
        self._sent += sum(cost_of(line) for _, line in taken)
        self._bytes_out += sum(len(line.text) for _, line in taken)
        if not in_flight:
            self._moved = trio.current_time()
        return _message(taken)

    async def _keep_booking(self) -> None:
        while True:
            await trio.sleep(self._times.book_s)
            await self._carried(0, self._bytes_out)


def _message(taken: list[tuple[LogSource, LogLine]]) -> FollowedLines:
    places = {source: place for place, source in enumerate(dict.fromkeys(source for source, _ in taken))}
    return FollowedLines(
        logs=[FollowedLog(replica=one.replica, container=one.container) for one in places],
        lines=[
            FollowedLine(
                log=places[source],
                at=line.place.at,
                nth=line.place.nth,
                text=line.text,
                dropped=line.dropped,
            )
            for source, line in taken
        ],
    )


def began_ns(now: int) -> int:
    """A moment as `FollowStarted` has it."""
    return now * SECOND_NS
