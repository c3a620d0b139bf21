# SPDX-License-Identifier: Apache-2.0
"""Lines of several logs that wait for one reader: the oldest goes first, and what waits is bounded."""

from collections import deque
from collections.abc import Hashable
from dataclasses import replace
from typing import Generic, TypeVar

from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.streams.followed import LINE_COST
from trustedpods.provider.core.followed.lines import LogLine

S = TypeVar("S", bound=Hashable)

WAITING_BYTES = 512 * KIB
"""Of all logs of one reader together; beyond it each log has one line more at the most."""


def cost_of(line: LogLine) -> int:
    """Bytes that a line counts for."""
    return len(line.text) + LINE_COST


class MergedLines(Generic[S]):
    """Each source puts its lines in their order."""

    def __init__(self, most: int = WAITING_BYTES) -> None:
        self._most = most
        self._cost = 0
        self._waiting: dict[S, deque[LogLine]] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    @property
    def cost(self) -> int:
        """Bytes that wait."""
        return self._cost

    def has_room(self, source: S) -> bool:
        """Whether *source* may put a line now; a source of which nothing waits always may."""
        return self._cost < self._most or source not in self._waiting

    def put(self, source: S, line: LogLine) -> None:
        """One more line; the caller has asked for room."""
        self._waiting.setdefault(source, deque()).append(line)
        self._cost += cost_of(line)

    def drop(self, source: S, line: LogLine) -> None:
        """Leave *line* out, and say so in its place."""
        waiting = self._waiting.get(source)
        if waiting and waiting[-1].dropped:
            waiting[-1] = replace(waiting[-1], place=line.place, dropped=waiting[-1].dropped + 1)
        else:
            self.put(source, LogLine(line.place, b"", dropped=1))

    def take(self, most_bytes: int, most_lines: int) -> list[tuple[S, LogLine]]:
        """The oldest lines, at least one where one waits: of each source in its order."""
        taken: list[tuple[S, LogLine]] = []
        size = 0
        while self._waiting and len(taken) < most_lines and (not taken or size < most_bytes):
            source = min(self._waiting, key=lambda one: self._waiting[one][0].place)
            waiting = self._waiting[source]
            line = waiting.popleft()
            if not waiting:
                del self._waiting[source]
            size += cost_of(line)
            taken.append((source, line))
        self._cost -= size
        return taken
