# SPDX-License-Identifier: Apache-2.0
"""Sockets of one end, and the turns in which their connections speak."""

import fcntl
import struct
import sys
import termios
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from trustedpods.protocol.errors import RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.net.forwarded.paced import BROKEN_OFF, ConnectionPiece, PacedConnection

Dial = Callable[[], Awaitable[trio.SocketStream]]
"""Gives the local end, which is closed by whoever carries it. Raises TrustedPodsErrors with the reason."""

HAND_ON_S = 60.0
"""Without progress, for a local end that takes what came before the other end threw the connection away."""

_LOOK_S = 0.02
"""Between two looks at what the kernel still has to send: it tells nobody when that is nothing."""

_RESET = struct.pack("ii", 1, 0)
"""The option by which closing a socket says that the connection broke, and not that it ended."""


class Carrier:
    """One connection at one end: `paced` is what is said of it, `run` moves it to and from its socket."""

    def __init__(self, number: int, ring: Callable[[], None], *, announces: bool) -> None:
        self.number = number
        self.paced = PacedConnection(announces=announces)
        self.scope = trio.CancelScope()
        self._ring_outside = ring
        self._bell = trio.Event()
        self._cut = False
        self._reading = trio.CancelScope()

    def note(self, data: bytes, *, end: bool, taken: int) -> None:
        """What the other end said; RemoteProtocolError as `PacedConnection.note`."""
        self.paced.note(data, end=end, taken=taken)
        self.ring()
        self._ring_outside()  # what was taken may let more be said

    def cut_off(self) -> None:
        """The other end threw it away: what came before that is handed on, then the local end is reset."""
        self._cut = True
        self._reading.cancel()
        self._have_time()
        self.ring()

    def ring(self) -> None:
        """Something changed: whoever waits looks again."""
        self._bell.set()
        self._bell = trio.Event()

    async def run(self, dial: Dial) -> None:
        """Until both directions have ended, or one broke, which the other end is told. Raises nothing."""
        with self.scope:
            try:
                stream = await dial()
            except TrustedPodsError as error:
                self.paced.fail(str(error))
            else:
                await self._carry(stream)
        self._ring_outside()

    async def _carry(self, stream: trio.SocketStream) -> None:
        clean = False
        async with stream:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._into, stream, nursery.cancel_scope)
                    nursery.start_soon(self._out_of, stream, nursery.cancel_scope)
                if self._cut:
                    await self._all_sent(stream)
                clean = not (self._cut or self.paced.failed)
            finally:
                if not clean:
                    reset_when_closed(stream)

    async def _all_sent(self, stream: trio.SocketStream) -> None:
        """Until the kernel has sent what was written: a reset throws the rest away."""
        left = 0
        while now := _unsent(stream):
            if now != left:
                self._have_time()
            left = now
            await trio.sleep(_LOOK_S)

    def _have_time(self) -> None:
        if self._cut:
            self.scope.deadline = trio.current_time() + HAND_ON_S

    async def _into(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            data = b"?"
            while data:
                while not self.paced.has_input:
                    if self._cut:
                        return
                    await self._bell.wait()
                data = self.paced.input()
                await (stream.send_all(data) if data else stream.send_eof())
                self.paced.handed_on(len(data))
                self._have_time()
                self._ring_outside()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if self.paced.ended:  # it neither says nor takes anything: it is gone
                self._break_off(scope)
            else:
                self.paced.discard()
                self._ring_outside()

    async def _out_of(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            with self._reading:
                data = b"?"
                while data:
                    while not self.paced.room:
                        await self._bell.wait()
                    data = await stream.receive_some(self.paced.room)
                    self.paced.keep(data)
                    self._ring_outside()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._break_off(scope)

    def _break_off(self, scope: trio.CancelScope) -> None:
        self.paced.fail(BROKEN_OFF)
        self._ring_outside()
        scope.cancel()


def reset_when_closed(stream: trio.SocketStream) -> None:
    """Let whoever is behind *stream* see that it broke, when it is closed; an end would look whole."""
    with suppress(OSError):  # it is gone already
        stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _RESET)


def _unsent(stream: trio.SocketStream) -> int:
    """Bytes that were written and not acknowledged; 0 of a socket that is gone."""
    try:
        told = fcntl.ioctl(stream.socket.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(told, sys.byteorder)


class Carriers:
    """All connections of one conversation. One task takes what is to be said, in turns."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._carriers: dict[int, Carrier] = {}
        self._last = -1
        self._bell = trio.Event()

    def __len__(self) -> int:
        """Connections now."""
        return len(self._carriers)

    @property
    def full(self) -> bool:
        """Whether there is no room for one more."""
        return len(self._carriers) >= self._most

    def get(self, number: int) -> Carrier | None:
        """The connection of that number; None where it has ended: what was under way for it is too late."""
        return self._carriers.get(number)

    def add(self, number: int, *, announces: bool = False) -> Carrier:
        """A new one; who begins it *announces* it.

        RemoteProtocolError where the number is not higher than all before.
        """
        if number <= self._last:
            raise RemoteProtocolError(f"connection {number} begins a second time", rule="exec-input")
        self._last = number
        made = self._carriers[number] = Carrier(number, self.ring, announces=announces)
        return made

    def drop(self, carrier: Carrier) -> None:
        """The other end threw it away: nothing more is said of it."""
        self._carriers.pop(carrier.number, None)
        carrier.cut_off()
        self.ring()

    def ring(self) -> None:
        """Something changed: whoever speaks looks again."""
        self._bell.set()
        self._bell = trio.Event()

    async def next_piece(self) -> tuple[Carrier, ConnectionPiece]:
        """What is to be said next, by the one that waited longest; waits until there is something."""
        while True:
            for carrier in list(self._carriers.values()):
                piece = carrier.paced.next_piece()
                if carrier.paced.over:
                    self._carriers.pop(carrier.number, None)
                if piece is None:
                    continue
                if carrier.number in self._carriers:  # to the end of the queue
                    self._carriers[carrier.number] = self._carriers.pop(carrier.number)
                carrier.ring()
                return carrier, piece
            await self._bell.wait()
