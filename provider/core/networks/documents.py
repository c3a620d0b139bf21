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
    Remove,
    Repair,
    StaleBase,
    Write,
    Written,
)
from trustedpods.protocol.networks.leases import (
    Acquire,
    AskLease,
    AwaitEnd,
    Behind,
    BreakLease,
    Broken,
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
    breaks: tuple[Broken, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing needs a place: no document, no holder, nothing that people are to be told.

        Fences begin anew then. No write of before is taken: it names a grant of an attempt that has ended.
        """
        return self.copy == Copy() and self.lease.grant is None and not self.breaks


MAX_BREAKS = 16
"""Broken leases that a network remembers: who broke one knows soon whether somebody was harmed."""


def answer(
    state: NetworkState, question: Question, signer: Address, now: Milliseconds
) -> tuple[NetworkState, Answer]:
    """What a member's *question* changes here, and what it is answered. *now* is the daemon's clock."""
    if isinstance(question, ReadCopy):
        return state, state.copy
    if isinstance(question, AskLease):
        return state, leases.status(state.lease, state.breaks, now)
    if isinstance(question, BreakLease):
        return _broken(state, question, now)
    if question.attempt.who != signer:
        return state, NotHeld()
    if isinstance(question, Write):
        copy, written = _of_copy(state.copy, aged(state.lease, now), question)
        removed = isinstance(question, Remove) and written == Written()
        return replace(state, copy=copy, breaks=() if removed else state.breaks), written
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


def repair(copy: Copy, lease: Lease, asked: Repair) -> tuple[Copy, Written | StaleBase | NotHeld]:
    """Let a document count that no write led to: only over the copy that the person saw."""
    if not holds(lease, asked.attempt, asked.fence):
        return copy, NotHeld()
    if copy == Copy(asked.document):
        return copy, Written()
    if copy != asked.found:
        return copy, StaleBase(copy)
    return Copy(asked.document), Written()


def remove(copy: Copy, lease: Lease, asked: Remove) -> tuple[Copy, Written | StaleBase | NotHeld]:
    """Keep no document: only where the one that is named counts, and nobody's write waits behind it."""
    if not holds(lease, asked.attempt, asked.fence):
        return copy, NotHeld()
    if copy == Copy():
        return copy, Written()
    if copy != Copy(asked.document):
        return copy, StaleBase(copy)
    return Copy(), Written()


def _of_copy(copy: Copy, lease: Lease, question: Write) -> tuple[Copy, Written | StaleBase | NotHeld]:
    match question:
        case Prepare():
            return prepare(copy, lease, question)
        case Commit():
            return commit(copy, lease, question)
        case Repair():
            return repair(copy, lease, question)
        case Remove():
            return remove(copy, lease, question)


def _broken(
    state: NetworkState, asked: BreakLease, now: Milliseconds
) -> tuple[NetworkState, Released | NotHeld]:
    """End a grant by a person's word; what its holder writes from now on is refused as after its expiry."""
    lease = aged(state.lease, now)
    if lease.grant is None or lease.grant.attempt != asked.broken:
        return state, NotHeld()
    broken = Broken(asked.broken, lease.grant.command, asked.by, asked.reason, asked.at)
    breaks = (*state.breaks, broken)[-MAX_BREAKS:]
    return replace(state, lease=replace(lease, grant=None), breaks=breaks), Released()


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
