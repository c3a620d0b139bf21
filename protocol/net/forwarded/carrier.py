# SPDX-License-Identifier: Apache-2.0
"""Sockets of one end, and the turns in which their connections speak."""

from collections.abc import Awaitable, Callable

import trio

from trustedpods.protocol.errors import RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.net.forwarded.paced import ConnectionPiece, PacedConnection

Dial = Callable[[], Awaitable[trio.SocketStream]]
"""Gives the local end, which is closed by whoever carries it. Raises TrustedPodsErrors with the reason."""


class Carrier:
    """One connection at one end: `paced` is what is said of it, `run` moves it to and from its socket."""

    def __init__(self, number: int, ring: Callable[[], None], *, announces: bool) -> None:
        self.number = number
        self.paced = PacedConnection(announces=announces)
        self.scope = trio.CancelScope()
        self._ring_outside = ring
        self._bell = trio.Event()

    def note(self, data: bytes, *, end: bool, taken: int) -> None:
        """What the other end said; RemoteProtocolError as `PacedConnection.note`."""
        self.paced.note(data, end=end, taken=taken)
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
                async with stream, trio.open_nursery() as nursery:
                    nursery.start_soon(self._into, stream, nursery.cancel_scope)
                    nursery.start_soon(self._out_of, stream, nursery.cancel_scope)
            except TrustedPodsError as error:
                self.paced.fail(str(error))
        self._ring_outside()

    async def _into(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            data = b"?"
            while data:
                while not self.paced.has_input:
                    await self._bell.wait()
                data = self.paced.input()
                await (stream.send_all(data) if data else stream.send_eof())
                self.paced.handed_on(len(data))
                self._ring_outside()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            if self.paced.ended:  # it neither says nor takes anything: it is gone
                self._break_off(scope)
            else:
                self.paced.discard()
                self._ring_outside()

    async def _out_of(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
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
        self.paced.fail("the connection was broken off")
        self._ring_outside()
        scope.cancel()


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
        """The other end threw it away."""
        self._carriers.pop(carrier.number, None)
        carrier.scope.cancel()
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
