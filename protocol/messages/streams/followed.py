# SPDX-License-Identifier: Apache-2.0
"""Logs of a pod as they come: what is asked, and what travels both ways meanwhile.

Paced by the reader: the client says what it has passed on (`taken`), and at most a window more is on its way.
Each line has a place in its log, so that a client that lost its connection asks for what comes behind it.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import (
    U32,
    U64,
    Bytes32,
    LongText,
    Message,
    ShortText,
    StreamVersion,
)

MAX_LINE = 16 * limits.KIB
"""Bytes of one line: what a container runtime writes at once. A longer one comes in pieces."""

MAX_LINES = 512
"""Lines in one message."""

MAX_PIECE = 64 * limits.KIB
"""Bytes of lines in one message, each counted with `LINE_COST`; one line more may pass it."""

LINE_COST = 64
"""Bytes that a line counts for besides its text: its numbers take some twenty."""

WINDOW = 256 * limits.KIB
"""Bytes that may be on their way and not yet passed on, each line counted with `LINE_COST`."""

MAX_SOURCES = 64
"""Logs that one conversation follows at once: replicas times containers."""

MAX_POSITIONS = 2 * MAX_SOURCES
"""Places that a client sends when it comes back: also of replicas that ended meanwhile."""


class FollowPosition(Message):
    """The last line that came of one log: its time in nanoseconds, and its number among those then."""

    replica: ShortText
    container: ShortText
    at: U64
    nth: U32


class FollowBody(Message):
    """Tell the last `tail` lines of each container of each replica, and then those that come.

    Of `container` alone where it is given; of lines that are there those of the last `since_s` seconds. A
    client that was there before sends `began`, which was told then, and its `positions`: then neither counts.
    Messages `FollowInput` come after it, sealed with `input_key` (`sealing/inputs.py`); `version` is theirs.
    """

    kind: Literal["follow"] = "follow"
    version: StreamVersion = 1
    input_key: Annotated[Bytes32, Field(repr=False)]
    container: ShortText | None = None
    tail: Annotated[int, Field(ge=0, le=10_000)] = 100
    since_s: Annotated[int, Field(ge=1, le=limits.MAX_SINCE_S)] | None = None
    began: U64 | None = None
    positions: Annotated[list[FollowPosition], Field(max_length=MAX_POSITIONS)] = Field(default_factory=list)


class FollowInput(Message):
    """From the client: bytes of lines that it has passed on in all, each line counted with `LINE_COST`."""

    kind: Literal["follow-input"] = "follow-input"
    taken: U64


class FollowStarted(Message):
    """Lines come from now on: of so many replicas now, of these containers.

    `began` is the provider's time, in nanoseconds.
    """

    kind: Literal["follow-started"] = "follow-started"
    began: U64
    replicas: U32
    containers: Annotated[list[ShortText], Field(max_length=MAX_SOURCES)]


class FollowedLog(Message):
    """The log of one container of one replica."""

    replica: ShortText
    container: ShortText


class FollowedLine(Message):
    """A line without its end: of the log with that place in the message's `logs`.

    With `dropped` it is none, but the number of lines that nobody took in time. `at` 0 is a time that is not
    known: the line was kept of a replica that had ended.
    """

    log: Annotated[int, Field(ge=0, lt=MAX_SOURCES)]
    at: U64
    nth: U32
    text: Annotated[bytes, Field(max_length=MAX_LINE, repr=False)] = b""
    dropped: U32 = 0


class FollowedLines(Message):
    """Some lines, the oldest first as far as they were there together."""

    kind: Literal["followed-lines"] = "followed-lines"
    logs: Annotated[list[FollowedLog], Field(max_length=MAX_SOURCES)]
    lines: Annotated[list[FollowedLine], Field(max_length=MAX_LINES)]


class FollowNote(Message):
    """What happens that no line says: the pod sleeps, or something of a log cannot be told."""

    kind: Literal["follow-note"] = "follow-note"
    about: Literal["asleep", "missing"]
    text: LongText
