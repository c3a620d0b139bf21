# SPDX-License-Identifier: Apache-2.0
"""One verb at a time for each pod on this machine: deploy, delete and close take turns by a lock file.

The kernel lets go of it when its process ends, however it ends. Other machines with the same key do not
see it: there the provider's generations decide, and `core.ownership` keeps the loser from doing harm.
"""

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from trustedpods.protocol.errors import Locked
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.units import utc_text
from trustedpods.protocol.whole_file import private_folder

FOLDER = "locks"
"""Below the user's folder of state."""

MAX_HOLDER = 512
"""Bytes of a holder's line."""


@contextmanager
def pod_lock(folder: Path, scope: str, name: str, verb: str, beside: Collection[str] = ()) -> Iterator[bool]:
    """Hold the lock of the pod *name* while the block runs; *scope* names its market and its publisher.

    Yields whether it is held: a folder that takes no locks stops nobody, nor does a holder whose verb is of
    *beside*. Raises `Locked`, which names the holder's process, verb and beginning.
    """
    descriptor = _open(folder / FOLDER, f"{scope}\0{name}")
    if descriptor is None:
        yield False
        return
    try:
        if not _taken(descriptor):
            if _verb(descriptor) in beside:
                yield False
                return
            raise Locked(
                f"pod {name!r} is in use: {_holder(descriptor)}",
                rule="pod-lock",
                hint="wait until it has ended, or end it: its lock goes with it",
            )
        _write_holder(descriptor, verb)
        yield True
    finally:
        os.close(descriptor)


def _open(folder: Path, what: str) -> int | None:
    try:
        private_folder(folder)
        return open_lock(folder / (hashlib.sha256(what.encode()).hexdigest()[:32] + ".lock"))
    except OSError:
        return None


def _taken(descriptor: int) -> bool:
    try:
        return taken(descriptor)
    except OSError:
        return True  # a file system without locks: as if there were no other


def _write_holder(descriptor: int, verb: str) -> None:
    line = json.dumps({"pid": os.getpid(), "verb": verb, "since": int(time.time())})
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, line.encode(), 0)
    except OSError:
        return  # a full disk: the lock holds all the same


def _verb(descriptor: int) -> str | None:
    """The holder's verb; None where it has not written it down yet."""
    try:
        return str(json.loads(os.pread(descriptor, MAX_HOLDER, 0))["verb"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _holder(descriptor: int) -> str:
    """Who holds it, as it wrote itself down; it may be about to."""
    try:
        found = json.loads(os.pread(descriptor, MAX_HOLDER, 0))
        since = utc_text(int(found["since"]))
        return f"process {int(found['pid'])} ({str(found['verb'])[:20]}) has it since {since}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError):
        return "another process has just taken it"
