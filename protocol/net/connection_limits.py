# SPDX-License-Identifier: Apache-2.0
"""Who may stay when there is no room for all: pure bookkeeping of inbound connections.

A newcomer is never turned away for lack of room, since strangers could then keep everybody out
by being there first. Instead a guest goes that misses its place least: of the same peer its least
active connection; else one of the address that holds most places, the oldest handshake or the
least active connection.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net.bounds import Bounds

_UNREAD_STEP = 4 * MIB


class Stranger(Protocol):
    """A connection before its handshake is done."""

    @property
    def remote_host(self) -> str:
        """IP address."""

    def abort(self) -> None:
        """End it now."""


class Guest(Stranger, Protocol):
    """An authenticated connection."""

    remote_peer_id: bytes

    @property
    def last_heard(self) -> float:
        """When bytes last came."""

    @property
    def streams(self) -> int:
        """Streams open now."""

    @property
    def unread(self) -> int:
        """Bytes received and not read."""


S = TypeVar("S", bound=Stranger)


class Guests:
    """All inbound connections of a host."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._pending: dict[Stranger, None] = {}
        self._connections: dict[Guest, None] = {}
        self._unread_step = 0

    def __len__(self) -> int:
        """Authenticated connections."""
        return len(self._connections)

    @property
    def pending(self) -> int:
        """Connections in their handshake."""
        return len(self._pending)

    @contextmanager
    def knocking(self, link: Stranger) -> Iterator[None]:
        """Keeps the place of a connection in its handshake."""
        if len(self._pending) >= self._bounds.max_pending:
            oldest = _of_busiest_host(self._pending)[0]
            del self._pending[oldest]
            oldest.abort()
        self._pending[link] = None
        try:
            yield
        finally:
            self._pending.pop(link, None)

    @contextmanager
    def seated(self, guest: Guest) -> Iterator[None]:
        """Keeps the place of an authenticated connection, and makes room for it first."""
        same = [other for other in self._connections if other.remote_peer_id == guest.remote_peer_id]
        if len(same) >= self._bounds.max_per_peer:
            self._send_away(_least_active(same))
        elif len(self._connections) >= self._bounds.max_connections:
            self._send_away(_least_active(_of_busiest_host(self._connections)))
        self._connections[guest] = None
        try:
            yield
        finally:
            self._connections.pop(guest, None)

    def received(self, size: int) -> None:
        """Count received stream data; too much unread in all sends away who holds most of it."""
        self._unread_step += size
        if self._unread_step < _UNREAD_STEP:
            return
        self._unread_step = 0
        loads = {guest: guest.unread for guest in self._connections}
        if sum(loads.values()) > self._bounds.max_unread:
            self._send_away(max(loads, key=lambda guest: loads[guest]))

    def _send_away(self, guest: Guest) -> None:
        self._connections.pop(guest, None)
        guest.abort()


def _of_busiest_host(guests: Iterable[S]) -> list[S]:
    """Those of the address (or addresses) with the most of *guests*, in their order."""
    everybody = list(guests)
    per_host = Counter(guest.remote_host for guest in everybody)
    most = max(per_host.values())
    return [guest for guest in everybody if per_host[guest.remote_host] == most]


def _least_active(guests: Iterable[Guest]) -> Guest:
    return min(guests, key=lambda guest: (guest.streams > 0, guest.last_heard))
