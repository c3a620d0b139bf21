# SPDX-License-Identifier: Apache-2.0
"""This machine's own static busybox: the program of probe pods, and of what copies seeds into volumes."""

from collections.abc import Sequence
from pathlib import Path

from trustedpods.protocol.errors import NoContext

PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"), Path("/usr/lib/trustedpods/probe/busybox"))
"""Where Debian's busybox-static puts it; in the machine image, which has no shell, it lies as data."""


def is_there(places: Sequence[Path] = PLACES) -> bool:
    """Whether this machine has one; whether it is static shows when an image is made of it."""
    return any(path.exists() for path in places)


def program(places: Sequence[Path] = PLACES) -> bytes:
    """The program; NoContext where this machine has none."""
    for path in places:
        if path.exists():
            return path.read_bytes()
    raise NoContext("no busybox for pods of the provider's own", hint="apt-get install busybox-static")
