# SPDX-License-Identifier: Apache-2.0
"""One run of a program that writes an image: bounded in time, its progress told, ended with our own run."""

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
"""For a program that is told to end; then it is killed."""

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

    Raises `BadInput` with the last line of what it said where it fails, or needs more than *seconds*. However
    this ends, the program has ended too.
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(  # noqa: S603 - a program of this person's; names in argv were checked
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=said, cwd=folder
            )
        except OSError as error:
            raise BadInput(f"cannot be run: {error.strerror}", where=name) from None
        try:
            _wait(process, name, seconds, told, growing)
        finally:
            _end(process)
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
    """Whatever happened, it does not go on without us."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, 2)
    file.seek(max(0, size - MAX_TOLD))
    return file.read().decode("utf-8", "replace").strip()
