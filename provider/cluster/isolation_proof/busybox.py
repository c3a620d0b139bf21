# SPDX-License-Identifier: Apache-2.0
"""This machine's own static busybox: the program of probe pods, and of what copies seeds into volumes."""

from pathlib import Path

from trustedpods.protocol.errors import NoContext

PLACES = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
"""Where Debian's busybox-static puts it."""


def is_there() -> bool:
    """Whether this machine has one; whether it is static shows when an image is made of it."""
    return any(path.exists() for path in PLACES)


def program() -> bytes:
    """The program; NoContext where this machine has none."""
    for path in PLACES:
        if path.exists():
            return path.read_bytes()
    raise NoContext("no busybox for pods of the provider's own", hint="apt-get install busybox-static")
