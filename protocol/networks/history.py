# SPDX-License-Identifier: Apache-2.0
"""History of a network's commands: records in chunks, bounded, and without secrets by their type. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, Final

from pydantic import Field

from trustedpods.protocol.codec import encode
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.messages.base import U64, Bytes20, Message

CHUNK: Final = 99
"""Records of one chunk of history, as the state of Solo has them."""

MAX_CHUNKS: Final = 8
MAX_HISTORY: Final = 96 * KIB
"""Bytes of all chunks: some 500 commands of usual length, and less than half of a state."""

MAX_ARGUMENTS: Final = 24
"""Arguments of one command: 16 clusters, and what a verb has beside them."""

MAX_TEXT: Final = 256
"""Letters of an argument's value or of a result: a path, a name, the first line of an error."""

StateText = Annotated[str, Field(max_length=MAX_TEXT)]


class Argument(Message):
    """One argument of a command; `value` is None for one whose type is secret."""

    name: Annotated[str, Field(max_length=64)]
    value: StateText | None


class HistoryRecord(Message):
    """One command: who began it when, when it ended, what came of it, the last generation that it wrote.

    Times are Unix seconds by the machine that ran it. A command that was killed has `ended` 0 and no result.
    """

    at: U64
    by: Bytes20
    verb: Annotated[str, Field(max_length=64)]
    arguments: Annotated[list[Argument], Field(max_length=MAX_ARGUMENTS)]
    ended: U64 = 0
    result: StateText
    generation: U64


Chunk = Annotated[list[HistoryRecord], Field(min_length=1, max_length=CHUNK)]


@dataclass(frozen=True, slots=True)
class SecretText:
    """A value that no history may show; the type says so, whatever stands in it."""

    text: str


def arguments(given: Iterable[tuple[str, str | SecretText]]) -> list[Argument]:
    """A command's arguments as history keeps them: secrets by their type, long ones cut, the first 24."""
    return [
        Argument(name=name, value=None if isinstance(value, SecretText) else value[:MAX_TEXT])
        for name, value in islice(given, MAX_ARGUMENTS)
    ]


def chunked(
    history: Sequence[Sequence[HistoryRecord]], record: HistoryRecord
) -> tuple[list[list[HistoryRecord]], int]:
    """The chunks with *record* behind the newest, and how many old ones went to make room."""
    chunks = [list(chunk) for chunk in history]
    if chunks and len(chunks[-1]) < CHUNK:
        chunks[-1].append(record)
    else:
        chunks.append([record])
    return bounded(chunks)


def bounded(chunks: list[list[HistoryRecord]]) -> tuple[list[list[HistoryRecord]], int]:
    """The chunks without their oldest where they are too many or too large, and how many records went."""
    dropped = 0
    while len(chunks) > MAX_CHUNKS or _size(chunks) > MAX_HISTORY:
        gone = len(chunks[0]) if len(chunks) > 1 else 1
        dropped += gone
        chunks = [chunks[0][gone:], *chunks[1:]]
        chunks = [chunk for chunk in chunks if chunk]
    return chunks, dropped


def _size(chunks: list[list[HistoryRecord]]) -> int:
    return sum(len(encode(record)) for chunk in chunks for record in chunk)
