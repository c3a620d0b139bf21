# SPDX-License-Identifier: Apache-2.0
"""Lines of one log as Kubernetes stamps them: each with its time, and a place that a reader goes on from."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from trustedpods.protocol.messages.streams.followed import MAX_LINE

MAX_STAMP = 40
"""Bytes before a line's text: a time with nanoseconds and zone, and a blank, take 36."""

SECOND_NS = 10**9

_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")


@dataclass(frozen=True, slots=True, order=True)
class LinePlace:
    """Of a line in its log: Unix nanoseconds, and its number from 1 on among those of that time."""

    at: int
    nth: int

    @property
    def second(self) -> int:
        """From where a log is read again to find what comes behind it."""
        return self.at // SECOND_NS


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, or a piece of a long one. With `dropped` it stands for so many that were left out."""

    place: LinePlace
    text: bytes
    dropped: int = 0


@dataclass(slots=True)
class StampedLines:
    """Puts pieces of a log together to lines; leaves out those up to *after*."""

    after: LinePlace | None = None
    _rest: bytes = b""
    _at: int = 0
    _nth: int = 0
    _within: bool = field(default=False)

    def feed(self, piece: bytes) -> list[LogLine]:
        """The lines that *piece* completes, and all of a long one but its last part."""
        *whole, rest = (self._rest + piece).split(b"\n")
        found: list[LogLine] = []
        for line in whole:
            self._finish(line, found)
        if len(rest) > MAX_STAMP + MAX_LINE:
            text = self._begin(rest)
            while len(text) > MAX_LINE:
                self._add(text[:MAX_LINE], found)
                text = text[MAX_LINE:]
            rest = text
        self._rest = rest
        return found

    def end(self) -> list[LogLine]:
        """What a container wrote last without a line's end."""
        rest, self._rest, found = self._rest, b"", list[LogLine]()
        if rest:
            self._finish(rest, found)
        return found

    def _finish(self, line: bytes, found: list[LogLine]) -> None:
        goes_on = self._within
        text = self._begin(line)
        self._within = False
        if text or not goes_on:
            self._add(text[:MAX_LINE], found)
        for start in range(MAX_LINE, len(text), MAX_LINE):
            self._add(text[start : start + MAX_LINE], found)

    def _begin(self, line: bytes) -> bytes:
        """The text of *line*, whose time is read unless it goes on."""
        if self._within:
            return line
        self._within = True
        stamp = _STAMP.match(line)
        if stamp is None:  # a word of the kubelet's: it has the time of the line before
            return line
        at = _nanoseconds(stamp)
        if at != self._at:
            self._at, self._nth = at, 0
        return line[stamp.end() :]

    def _add(self, text: bytes, found: list[LogLine]) -> None:
        self._nth += 1
        place = LinePlace(self._at, self._nth)
        if self.after is None or place > self.after:
            found.append(LogLine(place, text))


def _nanoseconds(stamp: "re.Match[bytes]") -> int:
    second, fraction, zone = stamp.groups()
    try:
        moment = datetime.fromisoformat((second + (b"+00:00" if zone == b"Z" else zone)).decode())
    except ValueError:  # month 13
        return 0
    return max(0, int(moment.timestamp())) * SECOND_NS + int((fraction or b"").ljust(9, b"0"))
