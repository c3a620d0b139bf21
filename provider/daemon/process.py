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


def notify_opening(within_s: float) -> None:
    """Tell systemd (Type=notify) that this start may last *within_s* from now: a migration takes its time."""
    _notify(f"EXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}", "STATUS=opening the books")


def notify_standing_by() -> None:
    """Tell systemd that the daemon does what it is for where another one serves: it is not started anew."""
    _notify("READY=1", "STATUS=standing by")


def notify_ready() -> None:
    """Tell systemd that the daemon serves."""
    _notify("READY=1", "STATUS=serving")


def _notify(*lines: str) -> None:
    """One datagram of sd_notify(3)'s; without NOTIFY_SOCKET nobody wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.sendall("\n".join(lines).encode())
