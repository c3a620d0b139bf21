# SPDX-License-Identifier: Apache-2.0
"""What a person sees: progress on standard error, results on standard output.

Much of what is printed was written by others (a provider, a registry row, a pod, its visitors), so this is
the one place that prints: each text becomes one line of printable characters, and what makes a terminal do
something never reaches it. With a terminal, transfers have a bar; without one, a line now and then.
"""

import codecs
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING

from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.publisher.journal import Journal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 5.0
"""Between two lines on one transfer where there is no terminal."""

MOST_WRITTEN = 20
"""Lines below an error; a provider sends ten of a container, and one that means ill could fill a screen."""


def one_line(text: str) -> str:
    """*text* as one line without what a terminal would act on: others' line breaks make no lines of ours."""
    return "".join(_printable(" " if c in "\n\t" else c) for c in text.replace("\r\n", "\n"))


def _printable(character: str) -> str:
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


class LogOutput:
    """What containers wrote, on standard output.

    On a terminal printable text, tabs and line ends only, and each piece ends with a line end of ours; into
    a pipe or a file, or with *raw*, the bytes as they are.
    """

    def __init__(self, stream: IO[str], *, raw: bool) -> None:
        self._stream = stream
        self._raw = raw or not stream.isatty()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def write(self, source: str, data: bytes) -> None:
        """The next piece of the container *source*; a character may be cut between two."""
        if self._raw:
            self._stream.buffer.write(data)  # type: ignore[attr-defined]  # of every text stream that has a tty
            self._stream.buffer.flush()  # type: ignore[attr-defined]
            return
        decoder = self._decoders.setdefault(source, codecs.getincrementaldecoder("utf-8")("replace"))
        text = decoder.decode(data).replace("\r\n", "\n")
        shown = "".join(c if c in "\n\t" else _printable(c) for c in text)
        if shown:
            self._stream.write(shown if shown.endswith("\n") else shown + "\n")
            self._stream.flush()


class CommandOutput:
    """One output of a command: bytes as they are, on a terminal what is printable of them without *raw*."""

    def __init__(self, stream: IO[str], *, raw: bool) -> None:
        self._stream = stream
        self._raw = raw or not stream.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, data: bytes) -> None:
        """The next piece; a character may be cut between two. Raises BrokenPipeError as the stream does."""
        text = "" if self._raw else self._decoder.decode(data).replace("\r\n", "\n")
        shown = "".join(c if c in "\n\t" else _printable(c) for c in text)
        self._stream.buffer.write(data if self._raw else shown.encode())  # type: ignore[attr-defined]  # as above
        self._stream.buffer.flush()  # type: ignore[attr-defined]


class PlainShow:
    """Lines on a stream; `quiet` leaves out all but warnings."""

    def __init__(self, stream: IO[str], *, quiet: bool = False) -> None:
        self._stream = stream
        self._quiet = quiet
        self._told: dict[str, float] = {}

    def line(self, text: str) -> None:
        """One line."""
        if not self._quiet:
            print(f"{one_line(text)}\n", end="", file=self._stream, flush=True)  # threads tell lines too

    def warning(self, text: str) -> None:
        """One line that begins with `warning:`."""
        print(f"warning: {one_line(text)}", file=self._stream, flush=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """A line at the end, and every few seconds."""
        now = time.monotonic()
        if done < total and now - self._told.setdefault(name, now) < LINE_EVERY_S:
            return
        self._told[name] = now
        percent = 100 * done // total if total else 100
        self.line(f"{name}: {done / 1e6:.1f} of {total / 1e6:.1f} MB ({percent} %)")

    def close(self) -> None:
        """Nothing to do."""


class LiveShow(PlainShow):
    """The same on a terminal, with a bar for each transfer."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__(stream)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def line(self, text: str) -> None:
        """One line, above the bars."""
        if self._bars is None:
            super().line(text)
        else:
            self._bars.console.print(one_line(text), markup=False, highlight=False, soft_wrap=True)

    def progress(self, name: str, done: int, total: int) -> None:
        """Move the bar of *name*."""
        bars = self._bars = self._bars or self._start()
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = bars.add_task(one_line(name), total=total)
        bars.update(task, completed=done, total=total)
        if done >= total:
            self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _start(self) -> "Progress":
        from rich.console import Console  # noqa: PLC0415 - 60 ms, for transfers only
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        bars = Progress(*columns, console=Console(file=self._stream), transient=True)
        bars.start()
        return bars


def make_show(*, as_json: bool, quiet: bool = False) -> PlainShow:
    """Bars for a terminal, lines for anything else; lines only where JSON is asked for, or warnings alone."""
    if quiet:
        return PlainShow(sys.stderr, quiet=True)
    if sys.stderr.isatty() and not as_json:
        return LiveShow(sys.stderr)
    return PlainShow(sys.stderr)


def choose_one(question: str, choices: Sequence[str]) -> str:
    """Which of *choices* a person means: asked by number, on stderr. Only where stdin is a terminal."""
    import click  # noqa: PLC0415 - for questions only

    for number, choice in enumerate(choices, 1):
        print(f"{number}) {one_line(choice)}", file=sys.stderr)  # noqa: T201
    numbers = click.IntRange(1, len(choices))
    return choices[click.prompt(question, type=numbers, err=True) - 1]


def ask_number(question: str, lines: Iterable[str], last: int) -> int:
    """A number from 1 to *last*, of what *lines* show on stderr; 1 is offered. Only on a terminal."""
    import click  # noqa: PLC0415 - for questions only

    for line in lines:
        print(one_line(line), file=sys.stderr)  # noqa: T201
    return int(click.prompt(question, type=click.IntRange(1, last), default=1, err=True))


def print_json_line(tree: Mapping[str, object]) -> None:
    """One object on a line of its own, seen at once: of a stream of them. Raises BrokenPipeError."""
    print(json.dumps(tree), flush=True)  # noqa: T201


def print_json(tree: Mapping[str, object]) -> None:
    """One object on standard output."""
    print(json.dumps(tree, indent=2), flush=True)  # noqa: T201


def print_lines(lines: Iterable[str]) -> None:
    """Lines on standard output, by one write.

    `| head -1` leaves after the first line, and a second write would then end what went well as a failure.
    """
    text = "".join(f"{one_line(line)}\n" for line in lines)
    if text:  # else whatever a reader that went away left in the stream is not ours to write
        sys.stdout.write(text)
        sys.stdout.flush()


def print_error(error: TrustedPodsError, show: PlainShow) -> None:
    """One clear line, and what to do: in the same line where a file or a flag is to be mended.

    A file with several mistakes has a line for each. What a container wrote last, or another command, stands
    below the line, each of its lines marked: none can be taken for ours.
    """
    show.close()
    in_line = isinstance(error, BadInput) and bool(error.hint)
    for line in _error_lines(error, in_line=in_line):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
    if error.hint and not in_line:
        print(f"hint: {one_line(error.hint)}", file=sys.stderr, flush=True)  # noqa: T201


def _error_lines(error: TrustedPodsError, *, in_line: bool) -> list[str]:
    """The line, our own further ones, and those of others, marked."""
    what = error.what.removesuffix("".join(f"\n{other}" for other in error.others))
    head, *written = [what] if in_line else what.split("\n")
    left_out = len(written) - MOST_WRITTEN
    shown = written if left_out <= 0 else [f"({left_out} lines before)", *written[-MOST_WRITTEN:]]
    place = f"{error.where}: " if error.where else ""
    rule = f" [{error.rule}]" if error.rule else ""
    hint = f"; {error.hint}" if in_line else ""
    return [
        f"error: {one_line(place + head + rule + hint)}",
        *(f"       {one_line(other)}" for other in error.others),
        *(f"       | {one_line(line)}" for line in shown),
    ]


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Columns as wide as their longest cell."""
    cells = [list(header), *(list(map(one_line, row)) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def timing_line(journal: Journal) -> str:
    """How long everything took."""
    steps = ", ".join(f"{step.name} {step.seconds:.1f}" for step in journal.steps)
    return f"done in {journal.elapsed:.1f} s ({steps})"
