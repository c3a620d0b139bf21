# SPDX-License-Identifier: Apache-2.0
"""Who holds the lease of one network in this cluster, and who is next.

The daemon is the only one that grants. Its own monotonic clock ends grants; what a client's clock
says is never looked at, and nobody is put out because "that process is dead". A free lease goes to
the oldest attempt that waits for it, so nobody starves; one that stopped asking for
`WAITER_MS` keeps no place. `Lease` is kept durably (`fence`, `ticket`, `grant`): a grant counts
once that is written, so an answer is sent after the write. The Lease object of Kubernetes is
written for people, and read by nobody who decides.
"""

from dataclasses import dataclass, replace

from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Attempt,
    Behind,
    Broken,
    Command,
    Ended,
    Fence,
    Granted,
    LeaseStatus,
    LeaseWaiter,
    Milliseconds,
    NotHeld,
)

WAITER_MS = Milliseconds(10_000)
"""A waiter that has not asked for so long has gone; a client asks every half second."""

NO_FENCE = Fence(0)
"""Before the first grant."""

MAX_WAITERS = 64
"""Attempts that one network's lease remembers: twice what a large team runs at once, in bounded memory."""


@dataclass(frozen=True, slots=True)
class Grant:
    """The present holder, with the fence of its grant and when it ends unless it is renewed."""

    attempt: Attempt
    command: Command
    fence: Fence
    ends: Milliseconds


@dataclass(frozen=True, slots=True)
class Waiter:
    """An attempt that asked and does not hold: in line, or `aside` for an older one to which it gave way."""

    attempt: Attempt
    command: Command
    asked: Milliseconds
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """One network's lease in one cluster. `waiters` is in order of age and is lost at a restart."""

    fence: Fence = NO_FENCE
    ticket: int = NO_TICKET
    grant: Grant | None = None
    waiters: tuple[Waiter, ...] = ()


def restarted(lease: Lease, now: Milliseconds) -> Lease:
    """The lease as a daemon that just started takes it up: the holder gets a full duration anew.

    The clock that its end was told by went with the process.
    """
    grant = lease.grant and replace(lease.grant, ends=Milliseconds(now + LEASE_MS))
    return replace(lease, grant=grant, waiters=())


def aged(lease: Lease, now: Milliseconds) -> Lease:
    """The lease at *now*: a grant past its end is over, and waiters that ask no more are gone."""
    grant = lease.grant if lease.grant and now < lease.grant.ends else None
    waiters = tuple(waiter for waiter in lease.waiters if now - waiter.asked < WAITER_MS)
    if grant is lease.grant and len(waiters) == len(lease.waiters):
        return lease
    return replace(lease, grant=grant, waiters=waiters)


def acquire(
    lease: Lease, attempt: Attempt, command: Command, now: Milliseconds
) -> tuple[Lease, Granted | Behind]:
    """*attempt* asks for the lease; it may ask as often as it likes.

    Without a ticket it gets the next one. A grant raises the fence.
    """
    lease = aged(lease, now)
    attempt, ticket = _ticketed(lease, attempt)
    lease = replace(lease, ticket=ticket)
    held = lease.grant
    if held is not None and held.attempt == attempt:
        return lease, Granted(attempt, held.fence, Milliseconds(held.ends - now))
    others = tuple(waiter for waiter in lease.waiters if waiter.attempt != attempt)
    oldest = next((waiter for waiter in others if not waiter.aside), None)
    if held is None and (oldest is None or attempt < oldest.attempt):
        grant = Grant(attempt, command, Fence(lease.fence + 1), Milliseconds(now + LEASE_MS))
        lease = replace(lease, fence=grant.fence, grant=grant, waiters=others)
        return lease, Granted(attempt, grant.fence, LEASE_MS)
    lease = replace(lease, waiters=_in_line(others, Waiter(attempt, command, now)))
    if held is not None:
        return lease, Behind(attempt, held.attempt, held.command, Milliseconds(held.ends - now))
    assert oldest is not None
    return lease, Behind(attempt, oldest.attempt, oldest.command, None)


def renew(lease: Lease, attempt: Attempt, fence: Fence, now: Milliseconds) -> tuple[Lease, Granted | NotHeld]:
    """The holder asks for a full duration more; nobody gets back what has ended."""
    lease = aged(lease, now)
    if not holds(lease, attempt, fence):
        return lease, NotHeld()
    assert lease.grant is not None
    grant = replace(lease.grant, ends=Milliseconds(now + LEASE_MS))
    return replace(lease, grant=grant), Granted(attempt, fence, LEASE_MS)


def release(lease: Lease, attempt: Attempt, now: Milliseconds, *, aside: bool) -> Lease:
    """*attempt* lets go of what it holds or waits for here, and of nobody else's.

    With *aside* it gives way and will come back: those who gave way to it go on waiting for its end. One that
    was ended before it heard of its ticket is known by its id.
    """
    lease = aged(lease, now)
    attempt = _known(lease, attempt)
    known = _command(lease, attempt)
    waiters = tuple(waiter for waiter in lease.waiters if waiter.attempt != attempt)
    if aside and known is not None:
        waiters = _in_line(waiters, Waiter(attempt, known, now, aside=True))
    grant = None if lease.grant and lease.grant.attempt == attempt else lease.grant
    return replace(lease, grant=grant, waiters=waiters)


def await_end(
    lease: Lease, attempt: Attempt, other: Attempt, now: Milliseconds
) -> tuple[Lease, Behind | Ended]:
    """*attempt* stands aside until *other* has ended; each question keeps its own place, if it has one."""
    lease = aged(lease, now)
    own = next((waiter for waiter in lease.waiters if waiter.attempt == attempt), None)
    if own is not None:
        others = tuple(waiter for waiter in lease.waiters if waiter.attempt != attempt)
        lease = replace(lease, waiters=_in_line(others, replace(own, asked=now, aside=True)))
    command = _command(lease, other)
    if command is None:
        return lease, Ended()
    held = lease.grant if lease.grant and lease.grant.attempt == other else None
    return lease, Behind(attempt, other, command, Milliseconds(held.ends - now) if held else None)


def status(lease: Lease, breaks: tuple[Broken, ...], now: Milliseconds) -> LeaseStatus:
    """The lease at *now*, as it is told to people."""
    lease = aged(lease, now)
    grant = lease.grant
    return LeaseStatus(
        lease.fence,
        grant.attempt if grant else None,
        grant.command if grant else None,
        Milliseconds(grant.ends - now) if grant else None,
        tuple(LeaseWaiter(waiter.attempt, waiter.command, waiter.aside) for waiter in lease.waiters),
        breaks,
    )


def holds(lease: Lease, attempt: Attempt, fence: Fence) -> bool:
    """Whether the (aged) *lease* is *attempt*'s, by the grant of that *fence*."""
    return lease.grant is not None and lease.grant.attempt == attempt and lease.grant.fence == fence


def _ticketed(lease: Lease, attempt: Attempt) -> tuple[Attempt, int]:
    """The attempt with its ticket, and the highest ticket seen here from now on."""
    attempt = _known(lease, attempt)
    if attempt.ticket == NO_TICKET:
        attempt = replace(attempt, ticket=lease.ticket + 1)
    return attempt, max(lease.ticket, attempt.ticket)


def _known(lease: Lease, attempt: Attempt) -> Attempt:
    """The attempt with the ticket that it has here, where it did not hear of it."""
    if attempt.ticket != NO_TICKET:
        return attempt
    known = [waiter.attempt for waiter in lease.waiters]
    if lease.grant:
        known.append(lease.grant.attempt)
    same = (other for other in known if (other.id, other.who) == (attempt.id, attempt.who))
    return next(same, attempt)


def _command(lease: Lease, attempt: Attempt) -> Command | None:
    """What *attempt* runs, if anything is known of it here."""
    if lease.grant is not None and lease.grant.attempt == attempt:
        return lease.grant.command
    return next((waiter.command for waiter in lease.waiters if waiter.attempt == attempt), None)


def _in_line(waiters: tuple[Waiter, ...], waiter: Waiter) -> tuple[Waiter, ...]:
    """The line with *waiter* at its place by age; the youngest goes where there are too many."""
    line = sorted((*waiters, waiter), key=lambda each: each.attempt)
    return tuple(line[:MAX_WAITERS])
