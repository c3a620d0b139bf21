# SPDX-License-Identifier: Apache-2.0
"""The process as whoever started it sees it: it ends at a signal, and says when it serves."""

import logging
import os
import signal
import socket

import trio

_log = logging.getLogger(__name__)


async def stop_on_signal(scope: trio.CancelScope) -> None:
    """Cancel *scope* at the first SIGTERM or SIGINT."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for received in signals:
            _log.info("%s: stopping", signal.Signals(received).name)
            scope.cancel()
            return


def notify_ready() -> None:
    """Tell systemd (Type=notify) that the daemon serves, or stands by: its start is over."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.sendall(b"READY=1")
