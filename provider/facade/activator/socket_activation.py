# SPDX-License-Identifier: Apache-2.0
"""Listening sockets that outlive this process: the service's file descriptor store of systemd.

While the process is away, connections wait in the socket's backlog instead of being refused, and
its successor accepts them. The protocol is that of sd_notify(3) and sd_listen_fds(3): a socket is
sent with `FDSTORE=1` and a name to NOTIFY_SOCKET; the next process finds it from descriptor 3 on,
with the names in LISTEN_FDNAMES.
"""

import logging
import os
import socket
from collections.abc import MutableMapping
from pathlib import Path

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

STORE_WITHIN_S = 1.0
"""The service manager reads at once; one that hangs must not hold up the service."""

_log = logging.getLogger(__name__)


def inherited(environment: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """What the process before this one stored, by name; the environment's words on it are taken out.

    Unlike systemd another manager may not know the process id before it starts it, so LISTEN_PID
    counts only where it is given.
    """
    pid = environment.pop("LISTEN_PID", None)
    count, names = environment.pop("LISTEN_FDS", ""), environment.pop("LISTEN_FDNAMES", "").split(":")
    if pid not in (None, str(os.getpid())) or not count.isdecimal() or int(count) != len(names):
        return {}
    found = {}
    for number, name in enumerate(names, FIRST_DESCRIPTOR):
        os.set_inheritable(number, False)
        found[name] = socket.socket(fileno=number)
    return found


class KeptSockets:
    """The store, as far as there is one: without NOTIFY_SOCKET nothing is kept, and nothing is wrong."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take over what there is."""
        self._found = inherited(environment)
        self._manager = environment.get("NOTIFY_SOCKET")

    def take(self, path: Path) -> socket.socket | None:
        """The socket that the process before this one listened on at *path*, if it is still there."""
        found = self._found.get(path.name)
        if found is None:
            return None
        if path.is_socket() and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return self._found.pop(path.name)
        self._drop(path.name)
        return None

    def keep(self, path: Path, descriptor: int) -> None:
        """Have what listens at *path* kept; a failure costs only the wait at the next restart."""
        self._tell(f"FDSTORE=1\nFDNAME={path.name}", [descriptor])

    def drop_rest(self) -> None:
        """Forget what nobody took."""
        for name in list(self._found):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._found.pop(name).close()
        self._tell(f"FDSTOREREMOVE=1\nFDNAME={name}", [])

    def _tell(self, text: str, descriptors: list[int]) -> None:
        if self._manager is None:
            return
        address = "\0" + self._manager[1:] if self._manager.startswith("@") else self._manager
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.settimeout(STORE_WITHIN_S)
                manager.connect(address)
                socket.send_fds(manager, [text.encode()], descriptors)
        except OSError as error:
            _log.warning("the service manager keeps no sockets: %s", error)
            self._manager = None
