# SPDX-License-Identifier: Apache-2.0
"""One run of a program that writes an image: bounded in time, its progress told, ended with our own run.

It has a session of its own, so that all that it started can be ended with it. So neither a terminal that is
closed nor its Ctrl-C reach it, and a signal may end us before we end it: a guard beside it, in a session of
its own too, holds the other end of a pipe, and ends it when that is closed, for whatever reason.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB
from trustedpods.publisher.images.opening import ImageTold

LOOK_EVERY_S = 0.2
"""Between two looks at how far a program is."""

END_S = 5.0
"""For a program, with all that it started, that is told to end; then all of it is killed."""

GONE_S = 5.0
"""For what was killed, until it is gone. What the kernel holds longer than that is not waited for."""

_GUARD = """
gone() {
    left=$1
    while kill -s 0 -- "-$group" 2>/dev/null; do
        [ "$left" -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.1
    done
}
read -r group || exit 0
read -r over && exit 0
kill -s TERM -- "-$group" 2>/dev/null || exit 0
gone "$1" && exit 0
kill -s KILL -- "-$group" 2>/dev/null
gone "$2"
"""
"""Its input is the program's group and, once that has ended by itself, a further line. Its arguments are how
often it looks whether what was told to end, and what was killed, is gone."""

_LOOKS = 10
"""Of the guard, in a second."""

MAX_TOLD = 64 * KIB
"""Bytes of what a program says that are read: the last ones say why it failed."""


@dataclass(frozen=True, slots=True)
class Growing:
    """A file that a program writes: told as *name*, of perhaps *total* bytes (0: not known)."""

    file: Path
    name: str
    total: int = 0


def run_program(
    argv: Sequence[str],
    seconds: float,
    told: ImageTold,
    growing: Growing | None = None,
    folder: Path | None = None,
) -> str:
    """Run it to its end; returns what it wrote on its standard output, at most the last `MAX_TOLD` bytes.

    Raises `BadInput` with the last line of what it said where it fails, or needs more than *seconds*. In a
    thread of trio's it raises what cancels that. However this ends, the program has ended too; after a
    failure of ours, so has what it started (a builder's steps, a helper).
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said, _guard() as guard:
        try:
            process = subprocess.Popen(  # noqa: S603 - a program of this person's; names in argv were checked
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=said,
                cwd=folder,
                start_new_session=True,
            )
        except OSError as error:
            raise BadInput(f"cannot be run: {error.strerror}", where=name) from None
        try:
            _tell(guard, str(process.pid))
            _wait(process, name, seconds, told, growing)
            _tell(guard, "over")
        except BaseException:
            guard.close()
            with suppress(subprocess.TimeoutExpired):
                process.wait(END_S + GONE_S)
            process.kill()  # only where somebody has ended the guard
            raise
        if process.returncode:
            lines = (_tail(said) or _tail(out)).split("\n")
            raise BadInput(f"{name}: {lines[-1][:300] or f'failed ({process.returncode})'}")
        return _tail(out)


@contextmanager
def _guard() -> Iterator[IO[bytes]]:
    """Where the guard is told of a program; it has ended afterwards, and what it was to end before it."""
    looks = [str(int(seconds * _LOOKS)) for seconds in (END_S, GONE_S)]
    try:
        guard = subprocess.Popen(  # noqa: S603 - all of it stands here
            ("/bin/sh", "-c", _GUARD, "guard", *looks),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise BadInput(f"cannot be run: {error.strerror}", where="/bin/sh") from None
    assert guard.stdin is not None
    try:
        yield guard.stdin
    finally:
        guard.stdin.close()
        guard.wait()


def _tell(guard: IO[bytes], line: str) -> None:
    with suppress(BrokenPipeError):  # somebody has ended it
        guard.write(f"{line}\n".encode())


def _wait(
    process: subprocess.Popen[bytes], name: str, seconds: float, told: ImageTold, growing: Growing | None
) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            process.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
            _check_cancelled()
            if time.monotonic() > until:
                raise BadInput(f"{name} did not finish in {seconds:.0f} s") from None
            if growing is not None and growing.file.exists():
                done = growing.file.stat().st_size
                told.progress(growing.name, done, max(done + 1, growing.total))
        else:
            break
    if growing is not None and growing.file.exists() and not process.returncode:
        size = growing.file.stat().st_size
        told.progress(growing.name, size, size)


def _check_cancelled() -> None:
    """Raise what cancels the task that waits for this thread: trio itself waits until the thread ends."""
    import trio  # noqa: PLC0415 - only here, where a program takes longer

    with suppress(RuntimeError):  # no thread of trio's
        trio.from_thread.check_cancelled()


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, 2)
    file.seek(max(0, size - MAX_TOLD))
    return file.read().decode("utf-8", "replace").strip()
