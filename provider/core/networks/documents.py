# SPDX-License-Identifier: Apache-2.0
"""One cluster's copy of a network's document: which writes it takes.

A write needs the present grant's fence and the copy that the writer read. A pending document is
never replaced by another: it is part of a change that may count elsewhere already, so the next
holder rolls it forward. A write that stands already is answered as if it were new, because answers
get lost.
"""

from dataclasses import dataclass, field, replace

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import (
    Answer,
    Commit,
    Copy,
    Prepare,
    Question,
    ReadCopy,
    StaleBase,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    AwaitEnd,
    Behind,
    Ended,
    Granted,
    Milliseconds,
    NotHeld,
    Release,
    Released,
    Renew,
)
from trustedpods.provider.core.networks import leases
from trustedpods.provider.core.networks.leases import Lease, aged, holds


@dataclass(frozen=True, slots=True)
class NetworkState:
    """What one cluster keeps of one network. It is written whole, before an answer tells of a change."""

    lease: Lease = field(default_factory=Lease)
    copy: Copy = field(default_factory=Copy)


def answer(
    state: NetworkState, question: Question, signer: Address, now: Milliseconds
) -> tuple[NetworkState, Answer]:
    """What a member's *question* changes here, and what it is answered. *now* is the daemon's clock."""
    if isinstance(question, ReadCopy):
        return state, state.copy
    if question.attempt.who != signer:
        return state, NotHeld()
    if isinstance(question, Prepare | Commit):
        lease = aged(state.lease, now)
        copy, written = (
            prepare(state.copy, lease, question)
            if isinstance(question, Prepare)
            else commit(state.copy, lease, question)
        )
        return replace(state, copy=copy), written
    lease, told = _of_lease(state.lease, question, now)
    return replace(state, lease=lease), told


def prepare(copy: Copy, lease: Lease, asked: Prepare) -> tuple[Copy, Written | StaleBase | NotHeld]:
    """Take a document as pending. It must follow `base`, and `base` must be what stands here."""
    if not holds(lease, asked.attempt, asked.fence):
        return copy, NotHeld()
    if asked.document in (copy.pending, copy.current):
        return copy, Written()
    follows = asked.document.generation == asked.base.generation + 1
    if copy.current != asked.base or copy.pending is not None or not follows:
        return copy, StaleBase(copy)
    return Copy(copy.current, asked.document), Written()


def commit(copy: Copy, lease: Lease, asked: Commit) -> tuple[Copy, Written | StaleBase | NotHeld]:
    """Let the pending document count."""
    if not holds(lease, asked.attempt, asked.fence):
        return copy, NotHeld()
    if copy.current == asked.document:
        return copy, Written()
    if copy.pending != asked.document:
        return copy, StaleBase(copy)
    return Copy(asked.document), Written()


def _of_lease(
    lease: Lease, question: Acquire | Renew | Release | AwaitEnd, now: Milliseconds
) -> tuple[Lease, Granted | Behind | Ended | Released | NotHeld]:
    match question:
        case Acquire(attempt, command):
            return leases.acquire(lease, attempt, command, now)
        case Renew(attempt, fence):
            return leases.renew(lease, attempt, fence, now)
        case Release(attempt, aside):
            return leases.release(lease, attempt, now, aside=aside), Released()
        case AwaitEnd(attempt, other):
            return leases.await_end(lease, attempt, other, now)
