# SPDX-License-Identifier: Apache-2.0
"""One run of a program that writes an image: bounded in time, its progress told, ended with our own run."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
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

    It has a session of its own, so that what it starts (a builder's steps, a helper) is ended with it. Raises
    `BadInput` with the last line of what it said where it fails, or needs more than *seconds*. However this
    ends, the program has ended too; after a failure of ours, so has what it started.
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
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
            _wait(process, name, seconds, told, growing)
        except BaseException:
            _end(process)
            raise
        if process.returncode:
            lines = (_tail(said) or _tail(out)).split("\n")
            raise BadInput(f"{name}: {lines[-1][:300] or f'failed ({process.returncode})'}")
        return _tail(out)


def _wait(
    process: subprocess.Popen[bytes], name: str, seconds: float, told: ImageTold, growing: Growing | None
) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            process.wait(LOOK_EVERY_S)
        except subprocess.TimeoutExpired:
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


def _end(process: subprocess.Popen[bytes]) -> None:
    """Whatever happened, neither it nor what it started goes on without us."""
    gone = False
    try:
        gone = _ends(process, signal.SIGTERM, END_S)
    finally:  # also where a person presses Ctrl-C once more
        if not gone:
            _ends(process, signal.SIGKILL, GONE_S)


def _ends(process: subprocess.Popen[bytes], number: int, seconds: float) -> bool:
    """Whether nothing of the program's group is left within *seconds* of that signal."""
    until = time.monotonic() + seconds
    while _tell(process, number):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_EVERY_S / 10)
        number = 0
    return True


def _tell(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the program's whole group (0: only look); False where nothing of it is left."""
    process.poll()
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # gone, or another user's by now: not ours to end
        return False
    return True


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, 2)
    file.seek(max(0, size - MAX_TOLD))
    return file.read().decode("utf-8", "replace").strip()
