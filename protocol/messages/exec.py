# SPDX-License-Identifier: Apache-2.0
"""A command in a running container: what is asked, and what travels both ways while it runs.

With a terminal (`terminal`) or without (`exec`): the replies are the same.

Both directions are paced by their reader. Each side says how many bytes it has passed on in all
(`taken`), and the other has at most a window more on its way; so nothing piles up behind a reader that
pauses, and no write waits so long that the stream is given up.
"""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U64, Bytes32, Message, ShortText, StreamVersion

MAX_WORDS = 256
"""Words of one command."""

MAX_WORD = 16 * limits.KIB
"""Characters of one word: a script for `sh -c`. The whole request is bounded too (32 KiB)."""

MAX_PIECE = 64 * limits.KIB
"""Bytes of input or output in one message."""

WINDOW = 256 * limits.KIB
"""Bytes of one direction that may be on their way and not yet passed on; 2.5 MB/s at 100 ms."""

NO_NUL = r"^[^\x00]*$"
"""Words that a kernel takes as a command's arguments."""

CommandWord = Annotated[str, Field(max_length=MAX_WORD, pattern=NO_NUL)]


class ExecBody(Message):
    """Run a command in a container: the pod's first one, in its newest replica, unless told otherwise.

    With *stdin*, messages `ExecInput` follow, sealed with *input_key* (`sealing/inputs.py`). Neither the
    command nor the key is ever in a representation of this.
    """

    kind: Literal["exec"] = "exec"
    command: Annotated[list[CommandWord], Field(min_length=1, max_length=MAX_WORDS, repr=False)]
    input_key: Annotated[Bytes32, Field(repr=False)]
    stdin: bool = False
    container: ShortText | None = None
    replica: ShortText | None = None


class ExecInput(Message):
    """From the client: input for the command, its end, and how much output was passed on so far."""

    kind: Literal["exec-input"] = "exec-input"
    data: Annotated[bytes, Field(max_length=MAX_PIECE, repr=False)] = b""
    end: bool = False
    taken: U64 = 0


MAX_SIDE = 4096
"""Columns or rows of a terminal: a wall of screens has fewer."""

TerminalSide = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class TerminalSize(Message):
    """A terminal's window, in characters."""

    columns: TerminalSide
    rows: TerminalSide


class TerminalBody(Message):
    """Run a command on a terminal of its own: where, as of `ExecBody`.

    Messages `TerminalInput` follow, sealed with *input_key*. *version* is that of these two messages.
    """

    kind: Literal["terminal"] = "terminal"
    version: StreamVersion = 1
    command: Annotated[list[CommandWord], Field(min_length=1, max_length=MAX_WORDS, repr=False)]
    input_key: Annotated[Bytes32, Field(repr=False)]
    size: TerminalSize
    container: ShortText | None = None
    replica: ShortText | None = None


class TerminalInput(Message):
    """From the client: what was typed, its end, output passed on so far, and the window where it changed."""

    kind: Literal["terminal-input"] = "terminal-input"
    data: Annotated[bytes, Field(max_length=MAX_PIECE, repr=False)] = b""
    end: bool = False
    taken: U64 = 0
    size: TerminalSize | None = None


class ExecStarted(Message):
    """The command runs, in this container of this replica."""

    kind: Literal["exec-started"] = "exec-started"
    container: ShortText
    replica: ShortText


class ExecOutput(Message):
    """What the command wrote."""

    kind: Literal["exec-output"] = "exec-output"
    stream: Literal["stdout", "stderr"]
    data: Annotated[bytes, Field(max_length=MAX_PIECE, repr=False)]


class ExecTaken(Message):
    """How much of the input was handed to the command so far."""

    kind: Literal["exec-taken"] = "exec-taken"
    total: U64


class ExecEnded(Message):
    """The command has ended and all of its output came before this."""

    kind: Literal["exec-ended"] = "exec-ended"
    exit_code: Annotated[int, Field(ge=0, le=255)]
