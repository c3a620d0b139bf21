# SPDX-License-Identifier: Apache-2.0
"""`logs --follow`: lines of all replicas of a pod as they come, over connections that may be lost."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.limits import MAX_SINCE_S
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.streams.followed import (
    LINE_COST,
    MAX_POSITIONS,
    FollowBody,
    FollowedLines,
    FollowInput,
    FollowNote,
    FollowPosition,
    FollowStarted,
)
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Conversation, next_generation
from trustedpods.publisher.market.silence import SilenceWatch, patient_bounds
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.results.streams.followed import FollowedLogLine
from trustedpods.publisher.verbs.pods import visit

START_TIMEOUT_S = 60.0
"""Until the provider takes the request: it looks at its own memory and books alone."""

MAX_TAIL = 10_000
"""Lines of each log that may be asked for at first, as of plain logs."""

_OVER = ("phase", "unknown-pod", "removed", "removing")
"""What is said of a pod that went while the connection was lost."""


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """Of *container* alone; at first the last *tail* lines of each, of the last *since_s* seconds."""

    container: str | None = None
    tail: int = 100
    since_s: int | None = None

    def check(self) -> None:
        """BadInput for numbers that no provider takes."""
        if not 0 <= self.tail <= MAX_TAIL:
            raise BadInput(f"0 to {MAX_TAIL} lines", where="tail")
        if self.since_s is not None and not 1 <= self.since_s <= MAX_SINCE_S:
            raise BadInput("a second to ten years", where="since")


class LogFeed:
    """`async for` gives line after line until the pod is gone; see `follow_logs`."""

    def __init__(self, lines: trio.MemoryReceiveChannel[FollowedLogLine], follower: "_Follower") -> None:
        self._lines = lines
        self._follower = follower

    @property
    def several(self) -> bool:
        """Whether lines came, or may come, of more than one replica or container so far."""
        return self._follower.several

    @property
    def ended(self) -> str | None:
        """Why no more lines come; None while they may."""
        return self._follower.ended

    def __aiter__(self) -> "LogFeed":
        """Itself: lines are given once."""
        return self

    async def __anext__(self) -> FollowedLogLine:
        """The next line."""
        return await self._lines.__anext__()


@asynccontextmanager
async def follow_logs(
    account: MarketAccount, name: str, options: FollowOptions, progress: VisitProgress, journal: Journal
) -> AsyncIterator[LogFeed]:
    """Lines for the block. A lost connection is made again, and goes on behind the last line that came.

    Raises Refused as plain logs do, and NetworkFailure, into the block too, when the provider is gone for
    `Timing.pause_s`.
    """
    options.check()
    sender, receiver = trio.open_memory_channel[FollowedLogLine](0)
    follower = _Follower(account, name, options, progress, journal)
    async with open_nursery() as nursery:
        nursery.start_soon(follower.run, sender)
        await follower.started.wait()
        yield LogFeed(receiver, follower)
        nursery.cancel_scope.cancel()


class _Follower:
    """Asks, and asks again after a lost connection."""

    def __init__(
        self,
        account: MarketAccount,
        name: str,
        options: FollowOptions,
        progress: VisitProgress,
        journal: Journal,
    ) -> None:
        self._account = account
        self._name = name
        self._options = options
        self._progress = progress
        self._journal = journal
        self._began: int | None = None
        self._positions: dict[tuple[str, str], tuple[int, int]] = {}
        self._sources: set[tuple[str, str]] = set()
        self._taken = 0
        self._lost_at: float | None = None
        self._heard = 0.0
        self.started = trio.Event()
        self.several = False
        self.ended: str | None = None

    async def run(self, lines: trio.MemorySendChannel[FollowedLogLine]) -> None:
        """Until the pod is gone. Only then the lines end: after an error their reader is cancelled."""
        while self.ended is None:
            try:
                await self._once(lines)
            except NetworkFailure as failure:
                await self._after(failure)
            except Refused as refused:
                if self._lost_at is None or refused.rule not in _OVER:
                    raise
                self.ended = refused.what
        await lines.aclose()

    async def _after(self, failure: NetworkFailure) -> None:
        """Wait before the next attempt; raises *failure* where there is none."""
        if not self.started.is_set():
            raise failure
        timing = self._account.timing
        if self._lost_at is None:
            self._lost_at = self._heard
            self._journal.show.warning(f"{failure.what}; connecting again, to go on behind the last line")
        elif trio.current_time() >= self._lost_at + timing.pause_s:
            raise failure
        await trio.sleep(timing.reconnect_s)

    async def _once(self, lines: trio.MemorySendChannel[FollowedLogLine]) -> None:
        bounds = patient_bounds(self._account.timing)
        async with visit(self._account, self._name, self._progress, self._journal, bounds=bounds) as visited:
            body, ref = self._body(), visited.location.ref
            async with visited.session.converse("follow", ref, body, next_generation()) as conversation:
                self._begin(await conversation.reply(FollowStarted, timeout=START_TIMEOUT_S))
                sealer = InputSealer(body.input_key, conversation.digest)
                try:
                    async with open_nursery() as nursery:
                        watch = SilenceWatch(visited.session, self._journal.show.warning)
                        nursery.start_soon(watch.run)
                        await self._receive(conversation, sealer, lines)
                        nursery.cancel_scope.cancel()
                finally:
                    self._heard = visited.session.last_heard

    def _body(self) -> FollowBody:
        """Asked the first time, or again from where it was."""
        latest = list(self._positions.items())[-MAX_POSITIONS:]
        return FollowBody(
            input_key=secrets.token_bytes(32),
            container=self._options.container,
            tail=self._options.tail,
            since_s=self._options.since_s,
            began=self._began,
            positions=[
                FollowPosition(replica=replica, container=container, at=at, nth=nth)
                for (replica, container), (at, nth) in latest
            ],
        )

    def _begin(self, started: FollowStarted) -> None:
        if self._lost_at is not None:
            self._lost_at = None
            self._journal.show.warning("connected again")
        if self._began is None:
            self._began = started.began
        self.several = self.several or started.replicas > 1 or len(started.containers) > 1
        self._taken = 0
        self.started.set()

    async def _receive(
        self,
        conversation: Conversation,
        sealer: InputSealer,
        lines: trio.MemorySendChannel[FollowedLogLine],
    ) -> None:
        while True:
            reply = await conversation.reply(FollowedLines, FollowNote, Done, timeout=None)
            if isinstance(reply, Done):
                self.ended = reply.text
                return
            if isinstance(reply, FollowNote):
                self._journal.show.warning(reply.text)
            elif isinstance(reply, FollowedLines):
                await self._hand_on(reply, lines)
                await conversation.stream.send(sealer.seal(FollowInput(taken=self._taken)))

    async def _hand_on(self, reply: FollowedLines, lines: trio.MemorySendChannel[FollowedLogLine]) -> None:
        for line in reply.lines:
            if line.log >= len(reply.logs):
                raise RemoteProtocolError("a line of a log that is not named", rule="exec-output")
            log = reply.logs[line.log]
            source = (log.replica, log.container)
            self._sources.add(source)
            self.several = self.several or len(self._sources) > 1
            await lines.send(
                FollowedLogLine(line.at or None, log.replica, log.container, line.text, line.dropped)
            )
            if line.at:
                self._positions.pop(source, None)  # the latest stand at the end
                self._positions[source] = (line.at, line.nth)
            self._taken += len(line.text) + LINE_COST
