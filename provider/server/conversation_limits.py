# SPDX-License-Identifier: Apache-2.0
"""Which conversation has to end when there is no room for all.

By the same rule as connections (`protocol.net.connection_limits`), a newcomer is never turned away for
lack of room, since peer ids and publishers' keys are free and strangers could then hold every place.
Instead the oldest of the address that takes most room has to go. What was begun for it goes on, and
it may come again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from trustedpods.protocol.net.connection_limits import of_busiest_host


class ConversationLimits:
    """Room of a fixed size; what a conversation takes of it is up to the caller."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: dict[trio.CancelScope, tuple[str, int]] = {}

    def __len__(self) -> int:
        """Conversations now."""
        return len(self._held)

    @contextmanager
    def taken(self, host: str, weight: int) -> Iterator[trio.CancelScope]:
        """Hold *weight* of the room for *host*; the scope is cancelled when somebody else needs it."""
        while self._held and self._used() + weight > self._size:
            self._cancel_oldest_of_busiest_host()
        with trio.CancelScope() as scope:
            self._held[scope] = (host, weight)
            try:
                yield scope
            finally:
                self._held.pop(scope, None)

    def _used(self) -> int:
        return sum(weight for _, weight in self._held.values())

    def _cancel_oldest_of_busiest_host(self) -> None:
        oldest = of_busiest_host(self._held)[0]
        del self._held[oldest]
        oldest.cancel()
