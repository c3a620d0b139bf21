# SPDX-License-Identifier: Apache-2.0
"""Plain sockets under trio: connect, copy both ways, say goodbye. Nothing is parsed.

Plain, because a copy that goes through the scheduler for every 16 KB costs eight CPU seconds per
GB; here it goes there only when there is nothing to read or no room to write.
"""

import socket
from collections.abc import Callable
from contextlib import suppress

import trio

CHUNK = 256 * 1024
TURN = 1024 * 1024
"""Bytes that one direction may copy before others get their turn."""

GOODBYE_S = 1.0
_IGNORED_AT_GOODBYE = 1024 * 1024


async def dial(ip: str, port: int, timeout: float) -> socket.socket | None:
    """A connection to the pod; None if it refuses or does not answer in time."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError:  # no file descriptor left
        return None
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with trio.move_on_after(timeout):
            with suppress(BlockingIOError):
                sock.connect((ip, port))
            await trio.lowlevel.wait_writable(sock.fileno())
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                return sock
    except OSError:
        pass
    except BaseException:
        close(sock)
        raise
    close(sock)
    return None


async def splice(one: socket.socket, other: socket.socket) -> None:
    """Copy both ways until both sides have ended; an end on one side is passed to the other.

    A broken connection breaks both. Closes neither.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump, one, other, nursery.cancel_scope)
        nursery.start_soon(_pump, other, one, nursery.cancel_scope)


async def say(sock: socket.socket, text: bytes) -> None:
    """Send *text* as the last words, and let them arrive before the caller closes."""
    with suppress(OSError), trio.move_on_after(GOODBYE_S):
        await _send(sock, text)
        sock.shutdown(socket.SHUT_WR)
        # Closing with unread data would reset the connection and take the words back.
        ignored = 0
        while ignored < _IGNORED_AT_GOODBYE:
            data = await receive(sock)
            if not data:
                return
            ignored += len(data)


async def until_seen(sock: socket.socket, enough: Callable[[bytes], bool]) -> None:
    """Read what the other side begins with until it is *enough*, it ended, or a second is over."""
    data = b""
    with suppress(OSError), trio.move_on_after(GOODBYE_S):
        while not enough(data) and (more := await receive(sock)):
            data += more


async def receive(sock: socket.socket) -> bytes:
    """The next bytes; none at the end."""
    while True:
        try:
            return sock.recv(CHUNK)
        except BlockingIOError:
            await trio.lowlevel.wait_readable(sock.fileno())


def close(sock: socket.socket) -> None:
    """Close a socket that tasks may still wait for."""
    trio.lowlevel.notify_closing(sock.fileno())
    sock.close()


async def _pump(source: socket.socket, sink: socket.socket, both: trio.CancelScope) -> None:
    copied = 0
    try:
        while data := await receive(source):
            await _send(sink, data)
            copied += len(data)
            if copied >= TURN:
                copied = 0
                await trio.lowlevel.checkpoint()
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        both.cancel()


async def _send(sock: socket.socket, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[sock.send(left) :]
        except BlockingIOError:
            await trio.lowlevel.wait_writable(sock.fileno())
