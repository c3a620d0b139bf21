# SPDX-License-Identifier: Apache-2.0
"""Logs of containers in the fake cluster: those that are there, and those that grow."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.cluster.log_parts import USUAL_PART, LogPart

BEGIN = 1_800_000_000


@dataclass
class GrowingLog:
    """A log with times, as the API server follows it."""

    lines: list[tuple[int, bytes]] = field(default_factory=list)
    ended: bool = False
    opened: list[LogPart] = field(default_factory=list)
    following: int = 0
    read: int = 0
    _broken: int = 0
    _changed: trio.Event = field(default_factory=trio.Event)

    def write(self, *texts: str, at: int | None = None) -> None:
        """One line each, a nanosecond after the one before."""
        for text in texts:
            latest = self.lines[-1][0] if self.lines else BEGIN * 10**9
            self.lines.append((latest + 1 if at is None else at, text.encode()))
        self._ring()

    def end(self) -> None:
        self.ended = True
        self._ring()

    def cut(self) -> None:
        """Everybody who follows loses the connection."""
        self._broken += 1
        self._ring()

    def _ring(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    @asynccontextmanager
    async def follow(self, part: LogPart) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened.append(part)
        self.following += 1
        try:
            async with aclosing(self._pieces(part, self._broken)) as pieces:
                yield pieces
        finally:
            self.following -= 1

    async def _pieces(self, part: LogPart, broken: int) -> AsyncGenerator[bytes, None]:
        since = 0 if part.since is None else part.since * 10**9
        there = [place for place, (at, _) in enumerate(self.lines) if at >= since]
        begin = there[0] if there else len(self.lines)
        place = begin if part.tail is None else max(begin, len(self.lines) - part.tail)
        while True:
            if self._broken > broken:
                raise NetworkFailure("the API server went away")
            if place < len(self.lines):
                self.read = max(self.read, place + 1)
                at, text = self.lines[place]
                place += 1
                yield _stamp(at) + b" " + text + b"\n"
            elif self.ended:
                return
            else:
                await self._changed.wait()


def _stamp(at: int) -> bytes:
    moment = datetime.fromtimestamp(at // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 10**9:09d}Z".encode()


@dataclass
class FakeLogs:
    """`written` by container, the same of all replicas; `growing` by replica and container."""

    written: dict[str, bytes] = field(default_factory=dict)
    growing: dict[tuple[str, str], GrowingLog] = field(default_factory=dict)

    async def _called(self, what: str) -> None:
        raise NotImplementedError

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        tail: int = 100,
        *,
        previous: bool = False,
        since_s: int | None = None,
    ) -> bytes:
        await self._called(f"logs {pod} {container}" + (f" since {since_s}" if since_s else ""))
        lines = self.written.get(container, b"").splitlines(keepends=True)
        return b"".join(lines[-tail:])

    @asynccontextmanager
    async def follow_logs(
        self, namespace: str, pod: str, container: str, part: LogPart = USUAL_PART
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        if (log := self.growing.get((pod, container))) is not None and part.stamped:
            async with log.follow(part) as pieces:
                yield pieces
            return
        sender, receiver = trio.open_memory_channel[bytes](1)
        sender.send_nowait(await self.logs(namespace, pod, container, part.tail or 10_000))
        sender.close()
        yield receiver
