# SPDX-License-Identifier: Apache-2.0
"""Short conversations with pods over TCP, one for each connection, no more at once than are good for all."""

from collections import Counter
from collections.abc import Awaitable, Callable

import trio

MAX_TALKS = 64
"""Connections at once: each holds a descriptor of the daemon's."""

MAX_TALKS_OF_ONE = 4
"""The same of one address."""


class Talks:
    """Hands each connection to *converse* with the sender's address, for *most_s* seconds at most.

    A conversation ends early where the connection breaks, or with one of *ends*, which *converse* may raise.
    """

    def __init__(
        self,
        converse: Callable[[trio.SocketStream, str], Awaitable[None]],
        most_s: float,
        *ends: type[Exception],
    ) -> None:
        self._converse = converse
        self._most_s = most_s
        self._ends: tuple[type[Exception], ...] = (trio.BrokenResourceError, trio.ClosedResourceError, *ends)
        self.of_one: Counter[str] = Counter()
        """Conversations under way, by address."""

    async def talk(self, stream: trio.SocketStream) -> None:
        """One conversation; whoever is one too many is hung up on."""
        try:
            sender = str(stream.socket.getpeername()[0])
        except OSError:
            return
        if self.of_one.total() >= MAX_TALKS or self.of_one[sender] >= MAX_TALKS_OF_ONE:
            return
        self.of_one[sender] += 1
        try:
            with trio.move_on_after(self._most_s):
                await self._converse(stream, sender)
        except self._ends:
            return
        finally:
            self.of_one -= Counter({sender: 1})
