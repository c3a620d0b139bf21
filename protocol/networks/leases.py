# SPDX-License-Identifier: Apache-2.0
"""The lease of a network, in the words that clients and daemons share.

A network lives in several clusters, and a command that changes it holds its lease in all of them
(strict two-phase locking). Which of two commands goes first is decided by one order for all
clusters, that of their *attempts*. A daemon hands out tickets as a Lamport clock does (L. Lamport,
1978), so no clock of any machine takes part; the id breaks ties. An attempt keeps its ticket
however often it asks, so all that are older come to their end, and then it is the oldest.
"""

from dataclasses import dataclass
from typing import NewType

from trustedpods.protocol.ids import Address
from trustedpods.protocol.units import UnixSeconds

Fence = NewType("Fence", int)
"""A fencing number: raised by a write of the network's state at each grant, carried by each write.

It is kept in the state, never in the Lease object, which anybody may delete
(`leaseTransitions` begins anew then)."""

Milliseconds = NewType("Milliseconds", int)
"""A point or a length of somebody's own monotonic clock. Two machines never compare points."""

LEASE_MS = Milliseconds(20_000)
"""How long a grant is good without a renewal: what a killed holder costs the next one."""

NO_TICKET = 0
"""The ticket of an attempt that no daemon has answered yet. The first one given out is 1."""


@dataclass(frozen=True, slots=True, order=True)
class Attempt:
    """One command's try to hold a network's leases; the smaller one is the older and goes first.

    `who` signs each question: nobody asks in another's name, though all see the attempts of all.
    """

    ticket: int
    id: str
    who: Address


@dataclass(frozen=True, slots=True)
class Command:
    """What people are told of an attempt: what runs on which machine, since when by its wall clock.

    Nothing is decided by it.
    """

    what: str
    machine: str
    since: UnixSeconds


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask for a cluster's lease, or keep one's place in its line."""

    attempt: Attempt
    command: Command


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask for a whole duration from now."""

    attempt: Attempt
    fence: Fence


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of the lease or of the place in its line; `aside` if the attempt gives way and comes back."""

    attempt: Attempt
    aside: bool


@dataclass(frozen=True, slots=True)
class AwaitEnd:
    """Ask whether `other`, to which the attempt gave way, is still known here."""

    attempt: Attempt
    other: Attempt


@dataclass(frozen=True, slots=True)
class Granted:
    """The attempt holds this cluster's lease, for `lasts` from when the daemon got the question."""

    attempt: Attempt
    fence: Fence
    lasts: Milliseconds


@dataclass(frozen=True, slots=True)
class Behind:
    """The attempt does not hold it: `other` does, or waits for it with an older ticket.

    `other_command` is what people are told; `ends_in` is when its grant ends if nobody renews it,
    None where it only waits.
    """

    attempt: Attempt
    other: Attempt
    other_command: Command
    ends_in: Milliseconds | None


@dataclass(frozen=True, slots=True)
class Released:
    """The attempt holds nothing here and waits for nothing."""


@dataclass(frozen=True, slots=True)
class NotHeld:
    """Refused: the grant that was named is not this cluster's present one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing is known here any more of the attempt that was asked after."""


@dataclass(frozen=True, slots=True)
class AskLease:
    """Ask who holds the lease and who waits; no lease is needed."""


@dataclass(frozen=True, slots=True)
class BreakLease:
    """End the grant of `broken`, which somebody saw; `at` is of the daemon's wall clock, for people."""

    broken: Attempt
    by: Address
    reason: str
    at: UnixSeconds


@dataclass(frozen=True, slots=True)
class Broken:
    """A grant that was broken: kept beside the lease, for all to see."""

    attempt: Attempt
    command: Command
    by: Address
    reason: str
    at: UnixSeconds


@dataclass(frozen=True, slots=True)
class LeaseWaiter:
    """An attempt that waits; `aside` where it gave way to an older one."""

    attempt: Attempt
    command: Command
    aside: bool


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """The lease as it is now: who holds it until when, if anybody does, and who waits, oldest first."""

    fence: Fence
    holder: Attempt | None
    command: Command | None
    ends_in: Milliseconds | None
    waiting: tuple[LeaseWaiter, ...]
    breaks: tuple[Broken, ...]
