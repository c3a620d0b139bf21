# SPDX-License-Identifier: Apache-2.0
"""What is kept of a network between two runs of the daemon, as bytes. Pure."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.messages.base import Message
from trustedpods.protocol.messages.networks import (
    MAX_TOLD_BREAKS,
    AttemptText,
    BreakText,
    CommandText,
    Counter,
    DocumentBytes,
)
from trustedpods.protocol.networks import wire
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.leases import LEASE_MS, Fence, Milliseconds
from trustedpods.provider.core.networks.documents import NetworkState
from trustedpods.provider.core.networks.leases import Grant, Lease, restarted


class StoredGrant(Message):
    """The holder; when its grant ends is of the daemon's clock, and ends with it."""

    attempt: AttemptText
    command: CommandText
    fence: Counter


class StoredNetwork(Message):
    """The durable part of a `NetworkState`, of format 1."""

    format: Literal[1] = 1
    fence: Counter
    ticket: Counter
    grant: StoredGrant | None
    current: DocumentBytes
    pending: DocumentBytes | None
    breaks: Annotated[list[BreakText], Field(max_length=MAX_TOLD_BREAKS)]


def to_bytes(state: NetworkState) -> bytes:
    """The durable part of *state*: equal parts are equal bytes."""
    lease, copy = state.lease, state.copy
    pending = None if copy.pending is None else wire.document_bytes(copy.pending)
    return encode(
        StoredNetwork(
            fence=lease.fence,
            ticket=lease.ticket,
            grant=None if lease.grant is None else _stored(lease.grant),
            current=wire.document_bytes(copy.current),
            pending=pending,
            breaks=[wire.broken_text(one) for one in state.breaks],
        )
    )


def from_bytes(data: bytes, now: Milliseconds) -> NetworkState:
    """The state as a daemon that knows no more takes it up at *now*. RemoteProtocolError for what is none."""
    kept = decode(data, StoredNetwork)
    grant = None if kept.grant is None else _grant(kept.grant, now)
    lease = restarted(Lease(Fence(kept.fence), kept.ticket, grant), now)
    pending = None if kept.pending is None else wire.document_of(kept.pending)
    copy = Copy(wire.document_of(kept.current), pending)
    return NetworkState(lease, copy, tuple(wire.broken_of(one) for one in kept.breaks))


def taken_up(read: NetworkState, remembered: NetworkState | None) -> NetworkState:
    """What was *read* again, with what the daemon remembers beside it: who waits, and when a grant ends."""
    if remembered is None:
        return read
    lease = replace(read.lease, waiters=remembered.lease.waiters)
    if read.lease.fence == remembered.lease.fence and read.lease.grant is not None:
        lease = replace(lease, grant=remembered.lease.grant)
    return replace(read, lease=lease)


def _stored(grant: Grant) -> StoredGrant:
    attempt, command = wire.attempt_text(grant.attempt), wire.command_text(grant.command)
    return StoredGrant(attempt=attempt, command=command, fence=grant.fence)


def _grant(kept: StoredGrant, now: Milliseconds) -> Grant:
    attempt, command = wire.attempt_of(kept.attempt), wire.command_of(kept.command)
    return Grant(attempt, command, Fence(kept.fence), Milliseconds(now + LEASE_MS))
