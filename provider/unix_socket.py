# SPDX-License-Identifier: Apache-2.0
"""Unix sockets that only this user may open."""

import os
from pathlib import Path
from typing import Final

import trio

_MODE: Final = 0o600


async def open_listener(path: Path, *, backlog: int = 1024) -> trio.SocketListener:
    """Listen on a unix socket that only this user may open, in place of an old one."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        os.fchmod(sock.fileno(), _MODE)  # bind(2) makes the file with the socket's own mode (unix(7))
        await sock.bind(str(fresh))
        sock.listen(backlog)
        fresh.replace(path)  # at no moment is there no socket at this path
    except BaseException:
        sock.close()
        raise
    return trio.SocketListener(sock)
