# SPDX-License-Identifier: Apache-2.0
"""The process as its machine sees it: it ends at a signal, says when it serves, and gives back memory."""

import ctypes
import logging
import os
import signal
import socket

import trio

from trustedpods.protocol.limits import MIB

_log = logging.getLogger(__name__)

LARGE_BUFFER = 2 * MIB
"""Above a blob's chunk, which comes and goes all day: each would cost its page faults anew."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""mallopt(3)."""


def give_back_large_buffers() -> None:
    """Have buffers of `LARGE_BUFFER` and more go back to the kernel when they are freed, for good.

    Left to itself glibc raises that bound to the largest buffer that it ever freed, 32 MiB at most. From then
    on such buffers are cut out of the heap and leave holes that a process which lives for months never fills.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    bounds = (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD)
    if mallopt is None or not all(mallopt(bound, LARGE_BUFFER) for bound in bounds):
        _log.info("this C library keeps large buffers as it likes")


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
