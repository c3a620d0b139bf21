# SPDX-License-Identifier: Apache-2.0
"""Which conversation has to end when there is no room for all.

By the same rule as connections (`protocol.net.connection_limits`), a newcomer is never turned away for
lack of room, since peer ids and publishers' keys are free and strangers could then hold every place.
Instead the oldest of the address that takes most room has to go. What was begun for it goes on, and
it may come again.

What goes on for as long as a publisher wants (commands, port-forwards, followed logs) is bounded otherwise:
there each has a key's signature and a pod behind it, so who comes too late is turned away.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

import trio

from trustedpods.protocol.errors import Refused
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


class LongVerbs:
    """How many of one long verb are served now, of each of whom there is a bound and in all.

    A refusal says that there are too many *what* at once, and *bounds*, which tells how many may be.
    """

    def __init__(self, what: str, bounds: str) -> None:
        self._refusal = f"too many {what} at once ({bounds})"
        self._running: Counter[Hashable] = Counter()

    def __getitem__(self, bounded: Hashable) -> int:
        """How many there are now."""
        return self._running[bounded]

    @contextmanager
    def one_more(self, bounds: Mapping[Hashable, int]) -> Iterator[None]:
        """Counts for every key of *bounds*; Refused (rule "busy") where one has as many as it may."""
        if any(self._running[key] >= most for key, most in bounds.items()):
            raise Refused(self._refusal, rule="busy", hint="try again when one has ended")
        self._running.update(bounds.keys())
        try:
            yield
        finally:
            self._running.subtract(bounds.keys())
            self._running += Counter()  # drops what is zero
