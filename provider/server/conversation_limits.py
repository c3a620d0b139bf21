# SPDX-License-Identifier: Apache-2.0
"""Who may stay in conversation when there is no room for all.

As at the network's door, a newcomer is never turned away for lack of room, since peer ids and
publishers' keys are free and strangers could then hold every place. Instead the oldest of the
address that takes most room has to go. What was begun for it goes on, and it may come again.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import trio


class Seats:
    """Room of a fixed size; what a guest takes of it is up to the caller."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._guests: dict[trio.CancelScope, tuple[str, int]] = {}

    def __len__(self) -> int:
        """Guests now."""
        return len(self._guests)

    @contextmanager
    def taken(self, host: str, weight: int) -> Iterator[trio.CancelScope]:
        """Hold *weight* of the room for *host*; the scope is cancelled when somebody else needs it."""
        while self._guests and self._used() + weight > self._size:
            self._send_away()
        with trio.CancelScope() as scope:
            self._guests[scope] = (host, weight)
            try:
                yield scope
            finally:
                self._guests.pop(scope, None)

    def _used(self) -> int:
        return sum(weight for _, weight in self._guests.values())

    def _send_away(self) -> None:
        """The oldest guest of the host (or one of the hosts) that takes most."""
        per_host: Counter[str] = Counter()
        for host, weight in self._guests.values():
            per_host[host] += weight
        most = max(per_host.values())
        oldest = next(scope for scope, (host, _) in self._guests.items() if per_host[host] == most)
        del self._guests[oldest]
        oldest.cancel()
