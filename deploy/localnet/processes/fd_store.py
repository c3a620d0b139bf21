# SPDX-License-Identifier: Apache-2.0
"""Keeps listening sockets for a part while it is started again, as systemd does: sd_notify(3), FDSTORE=1."""

import fcntl
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

import trio

from trustedpods.provider.facade.activator.socket_activation import FIRST_DESCRIPTOR

MAX_KEPT = 4096
"""FileDescriptorStoreMax of the unit file."""

MAX_MESSAGE = 4096
MAX_AT_ONCE = 16
"""Descriptors in one message."""

_log = logging.getLogger(__name__)


class FdStore:
    """The descriptors of one part, by name. They are lost with this process; the part's own are not."""

    def __init__(self, notify: Path) -> None:
        """*notify* is where the part sends them."""
        self.notify = notify
        self._kept: dict[str, int] = {}
        notify.parent.mkdir(parents=True, exist_ok=True)
        notify.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(notify))
        notify.chmod(0o600)

    async def run(self) -> None:
        """Take in what the part sends, until cancelled; then let go of everything."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._socket.fileno())
                with suppress(BlockingIOError):
                    text, descriptors, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, MAX_AT_ONCE)
                    self.take_in(text.decode(errors="replace"), descriptors)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of everything; safe to call twice."""
        self._socket.close()
        for number in self._kept.values():
            os.close(number)
        self._kept.clear()

    def take_in(self, text: str, descriptors: list[int]) -> None:
        """One message: keep its descriptor, or let go of the named one."""
        fields = dict(line.partition("=")[::2] for line in text.splitlines())
        name = fields.get("FDNAME", "")
        usable = name != "" and ":" not in name and name.isprintable() and len(descriptors) == 1
        storing = fields.get("FDSTORE") == "1" and usable
        if name in self._kept and (storing or fields.get("FDSTOREREMOVE") == "1"):
            os.close(self._kept.pop(name))
        if storing and len(self._kept) < MAX_KEPT:
            self._kept[name] = descriptors.pop()
        for unwanted in descriptors:
            os.close(unwanted)

    @property
    def environment(self) -> dict[str, str]:
        """What a part that is started with `descriptors` must be told."""
        told = {"NOTIFY_SOCKET": str(self.notify)}
        if self._kept:
            told |= {"LISTEN_FDS": str(len(self._kept)), "LISTEN_FDNAMES": ":".join(self._kept)}
        return told

    def descriptors(self) -> list[int]:
        """Copies to hand over, in the order of the names, none of them where they go to; to be closed."""
        above = FIRST_DESCRIPTOR + len(self._kept)
        return [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, above) for number in self._kept.values()]
