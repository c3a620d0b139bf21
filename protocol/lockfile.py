# SPDX-License-Identifier: Apache-2.0
"""Locks between processes of one machine: flock(2) on a file made for it.

The kernel lets go when the descriptor is closed, also by a kill. `taken` never waits: whoever may
wait only so long asks again; how long and how often is for the caller, as is the error that a
person reads. `take` waits without end, and the thread with it.
"""

import fcntl
import os
from pathlib import Path


def open_lock(path: Path) -> int:
    """A descriptor of the lock file at *path*, which is made if need be, for its user only.

    It does not have the lock yet; closing it lets go. No command that is started inherits it.
    Raises `OSError`.
    """
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def taken(descriptor: int, *, shared: bool = False) -> bool:
    """Whether *descriptor* has the lock now; False when another open file has it.

    With *shared* any number have it at once, as long as nobody has it alone. Raises `OSError`
    where the file system has no locks: that is not the same as somebody holding it.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def take(descriptor: int) -> None:
    """Return when *descriptor* has the lock, however long another open file has it.

    Blocks the thread, so it is for threads that may stand still. Raises `OSError`.
    """
    fcntl.flock(descriptor, fcntl.LOCK_EX)
