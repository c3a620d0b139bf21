# SPDX-License-Identifier: Apache-2.0
"""Keeps the chain's state whole, whenever anvil is killed.

`python -m trustedpods.localnet.market.chain_state FILE PROGRAM ARGUMENT...` puts the newest whole state
into FILE and then becomes PROGRAM, anvil.

anvil cuts its state file to nothing and fills it anew, every second, and does not start with half a state
(findings/anvil_state_written_in_place.sh). So a process beside it copies what was written and keeps the
last two copies. They are parsed at the next start only: every second that would cost too much.
"""

import json
import os
import select
import shutil
import signal
import sys
import time
from pathlib import Path

COPIES = 2
"""The newest may be of a half-written state, of an anvil that was stopped while it wrote."""

LOOK_EVERY_S = 0.25
"""A state that has not changed between two looks is taken for written: anvil writes one a second."""

_LARGEST_SHARE = 0.05
"""Of the time, that is spent on copying: large states are copied less often."""

_Stamp = tuple[int, int]


def copies(file: Path) -> list[Path]:
    """Where the copies of the state are, the newest first."""
    return [file.with_name(f"{file.name}.{age}") for age in range(1, COPIES + 1)]


def restore(file: Path) -> Path | None:
    """Put the newest whole state into *file*; returns where it was, none when the chain begins anew.

    There is no whole one only if anvil was killed in its first second: then half of a state is removed.
    """
    for found in (file, *copies(file)):
        if _is_whole(found):
            if found != file:
                _copy(found, file)
            return found
    file.unlink(missing_ok=True)
    return None


def keep(file: Path) -> bool:
    """Make the state of now the newest copy, unless it changes meanwhile; returns whether it was made."""
    newest, older = copies(file)
    before = _stamp(file)
    draft = file.with_name(f".{file.name}.copy")
    shutil.copyfile(file, draft)
    if _stamp(file) != before:
        return False
    if newest.exists():
        newest.replace(older)
    draft.replace(newest)
    return True


def keep_until_end(file: Path, process: int) -> None:
    """Copy each state that was written, until the process of that descriptor (pidfd) ends."""
    seen: _Stamp | None = None
    kept: _Stamp | None = None
    pause = LOOK_EVERY_S
    while not select.select([process], [], [], pause)[0]:
        now, pause = _stamp(file), LOOK_EVERY_S
        if now is not None and now == seen != kept:
            began = time.monotonic()
            try:
                kept = now if keep(file) else kept
            except OSError as error:  # no room: the copies of before are whole, and anvil goes on
                sys.stderr.write(f"the chain's state is not copied: {error}\n")
            pause = max(pause, (time.monotonic() - began) / _LARGEST_SHARE)
        seen = now


def _is_whole(file: Path) -> bool:
    """Whether it is an object of JSON: no beginning of one is one."""
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except (FileNotFoundError, ValueError):
        return False


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all."""
    draft = target.with_name(f".{target.name}.restored")
    shutil.copyfile(source, draft)
    draft.replace(target)


def _stamp(file: Path) -> _Stamp | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size


def main(file: Path, argv: list[str]) -> None:
    """Become anvil, whose process id is that of this process: whoever kills it kills the chain."""
    had_one = file.exists()
    chosen = restore(file)
    if chosen != file and had_one:
        sys.stderr.write(f"the chain's state was half-written; it goes on from {chosen or 'nothing'}\n")
    process = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        keep_until_end(file, process)
        os._exit(0)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; anvil would inherit that
        signal.signal(number, signal.SIG_DFL)
    os.execv(argv[0], argv)  # noqa: S606 - the localnet's own words


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
