# SPDX-License-Identifier: Apache-2.0
"""Who may stay when there is no room for all: pure bookkeeping of inbound connections.

A newcomer is never turned away for lack of room, since strangers could then keep everybody out
by being there first. Instead a connection goes that misses its place least: of the same peer its
least active one; else one of the address that holds most places, the oldest handshake or the least
active connection. `of_busiest_host` is that rule, also for whoever bounds something else by address.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net.bounds import Bounds

_UNREAD_STEP = 4 * MIB


class PendingConnection(Protocol):
    """A connection before its handshake is done."""

    @property
    def remote_host(self) -> str:
        """IP address."""

    def abort(self) -> None:
        """End it now."""


class EstablishedConnection(PendingConnection, Protocol):
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


C = TypeVar("C", bound=PendingConnection)
T = TypeVar("T")


class ConnectionLimits:
    """All inbound connections of a host."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._pending: dict[PendingConnection, None] = {}
        self._established: dict[EstablishedConnection, None] = {}
        self._unread_step = 0

    def __len__(self) -> int:
        """Authenticated connections."""
        return len(self._established)

    @property
    def pending_count(self) -> int:
        """Connections in their handshake."""
        return len(self._pending)

    @contextmanager
    def pending(self, connection: PendingConnection) -> Iterator[None]:
        """Keeps the place of a connection in its handshake, and makes room for it first."""
        if len(self._pending) >= self._bounds.max_pending:
            oldest = of_busiest_host(_one_place_each(self._pending))[0]
            del self._pending[oldest]
            oldest.abort()
        self._pending[connection] = None
        try:
            yield
        finally:
            self._pending.pop(connection, None)

    @contextmanager
    def established(self, connection: EstablishedConnection) -> Iterator[None]:
        """Keeps the place of an authenticated connection, and makes room for it first."""
        peer_id = connection.remote_peer_id
        same = [other for other in self._established if other.remote_peer_id == peer_id]
        if len(same) >= self._bounds.max_per_peer:
            self._abort(_least_active(same))
        elif len(self._established) >= self._bounds.max_connections:
            self._abort(_least_active(of_busiest_host(_one_place_each(self._established))))
        self._established[connection] = None
        try:
            yield
        finally:
            self._established.pop(connection, None)

    def received(self, size: int) -> None:
        """Count received stream data; too much unread in all ends the connection that holds most of it."""
        self._unread_step += size
        if self._unread_step < _UNREAD_STEP:
            return
        self._unread_step = 0
        loads = {connection: connection.unread for connection in self._established}
        if sum(loads.values()) > self._bounds.max_unread:
            self._abort(max(loads, key=lambda connection: loads[connection]))

    def _abort(self, connection: EstablishedConnection) -> None:
        self._established.pop(connection, None)
        connection.abort()


def of_busiest_host(holders: Mapping[T, tuple[str, int]]) -> list[T]:
    """Those of the address (or addresses) that holds most, in the order of *holders*.

    Each holder comes with its address and how much it holds, in whatever unit the caller bounds.
    Raises `ValueError` when there is no holder.
    """
    per_host: Counter[str] = Counter()
    for host, held in holders.values():
        per_host[host] += held
    most = max(per_host.values())
    return [holder for holder, (host, _) in holders.items() if per_host[host] == most]


def _one_place_each(connections: Iterable[C]) -> dict[C, tuple[str, int]]:
    return {connection: (connection.remote_host, 1) for connection in connections}


def _least_active(connections: Iterable[EstablishedConnection]) -> EstablishedConnection:
    return min(connections, key=lambda connection: (connection.streams > 0, connection.last_heard))
