# SPDX-License-Identifier: Apache-2.0
"""Short conversations with pods over TCP, one for each connection, no more at once than are good for all."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

MAX_TALKS = 64
"""Connections at once: each holds a descriptor of the daemon's."""

MAX_TALKS_OF_ONE = 4
"""The same of one address."""


@dataclass(frozen=True, slots=True, eq=False)
class _Talk:
    """One under way: from which address, for whom it counts, and what ends it."""

    sender: str
    owner: object
    scope: trio.CancelScope


def _by_itself(address: str) -> object:
    return address


class Talks:
    """Hands each connection to *converse* with the sender's address, for *most_s* seconds at most.

    A conversation ends early where the connection breaks, or with one of *ends*, which *converse* may raise.
    *owner_of* says for whom an address counts; None: for nobody, who is hung up on before a place is taken.
    """

    def __init__(
        self,
        converse: Callable[[trio.SocketStream, str], Awaitable[None]],
        most_s: float,
        *ends: type[Exception],
        owner_of: Callable[[str], object | None] = _by_itself,
    ) -> None:
        self._converse = converse
        self._most_s = most_s
        self._ends: tuple[type[Exception], ...] = (trio.BrokenResourceError, trio.ClosedResourceError, *ends)
        self._owner_of = owner_of
        self._under_way: list[_Talk] = []
        """The oldest first."""

    def count(self) -> int:
        """Conversations under way."""
        return len(self._under_way)

    async def talk(self, stream: trio.SocketStream) -> None:
        """One conversation; whoever is one too many is hung up on."""
        try:
            sender = str(stream.socket.getpeername()[0])
        except OSError:
            return
        owner = self._owner_of(sender)
        if owner is None or not self._has_room(sender, owner):
            return
        talk = _Talk(sender, owner, trio.CancelScope(deadline=trio.current_time() + self._most_s))
        self._under_way.append(talk)
        try:
            with talk.scope:
                await self._converse(stream, sender)
        except self._ends:
            return
        finally:
            if talk in self._under_way:
                self._under_way.remove(talk)

    def _has_room(self, sender: str, owner: object) -> bool:
        """Also where all places are taken, by an owner with more of them: its oldest conversation ends.

        So nobody keeps others out, with however many pods.
        """
        if sum(talk.sender == sender for talk in self._under_way) >= MAX_TALKS_OF_ONE:
            return False
        if len(self._under_way) < MAX_TALKS:
            return True
        held = Counter(talk.owner for talk in self._under_way)
        most, number = held.most_common(1)[0]
        if held[owner] + 1 >= number:
            return False
        oldest = next(talk for talk in self._under_way if talk.owner == most)
        oldest.scope.cancel()
        self._under_way.remove(oldest)
        return True
