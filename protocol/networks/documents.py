# SPDX-License-Identifier: Apache-2.0
"""A network's document, of which each of its clusters keeps a copy, and what a copy answers.

A change is written to all copies twice: first as *pending* everywhere, then committed everywhere.
So whoever comes next finds, in every case, either the old document on all copies or the new one on
at least one, pending or committed, and rolls it forward.

Generations count within an epoch: the second in which it began, or one more than the epoch before it.
A member may run any program: an epoch far ahead of the clock would let no later one pass, for ever. So
it counts as none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NewType

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.leases import (
    Acquire,
    AskLease,
    Attempt,
    AwaitEnd,
    Behind,
    BreakLease,
    Ended,
    Fence,
    Granted,
    LeaseStatus,
    NotHeld,
    Release,
    Released,
    Renew,
)

Generation = NewType("Generation", int)
"""Counts the documents of one network, gap-free, from 0 for none yet."""


@dataclass(frozen=True, slots=True)
class Document:
    """One generation: what stands in it is `body`, sealed to the team, which a daemon never reads."""

    generation: Generation
    body: bytes


NOTHING = Document(Generation(0), b"")
"""What a cluster holds of a network before the first write."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One cluster's copy: what counts, and what is about to."""

    current: Document = NOTHING
    pending: Document | None = None


@dataclass(frozen=True, slots=True)
class ReadCopy:
    """Ask for the copy; no lease is needed."""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Keep `document` as pending, on the copy that holds `base`; good under one grant only."""

    attempt: Attempt
    fence: Fence
    base: Document
    document: Document


@dataclass(frozen=True, slots=True)
class Commit:
    """Let the pending `document` count."""

    attempt: Attempt
    fence: Fence
    document: Document


@dataclass(frozen=True, slots=True)
class Repair:
    """Put `document` in the place of `found`, by the word of a person who saw that copies differ."""

    attempt: Attempt
    fence: Fence
    found: Copy
    document: Document


@dataclass(frozen=True, slots=True)
class Remove:
    """Keep nothing more of the network, whose copy is `document`; its place is free with the lease's end."""

    attempt: Attempt
    fence: Fence
    document: Document


@dataclass(frozen=True, slots=True)
class Written:
    """The write stands, now or since an earlier try of the same."""


@dataclass(frozen=True, slots=True)
class StaleBase:
    """Refused: the copy is not what the writer took it for; nothing was changed."""

    copy: Copy


Write = Prepare | Commit | Repair | Remove
"""Questions that change a copy: good under one grant only."""

Question = Acquire | Renew | Release | AwaitEnd | ReadCopy | Write | AskLease | BreakLease
"""What a member asks a cluster about a network."""

Answer = Granted | Behind | Ended | Released | NotHeld | Copy | Written | StaleBase | LeaseStatus
"""What a cluster answers; which one follows which question stands with each of them."""

EPOCH_AHEAD_S: Final = 24 * 3600
"""How far ahead of one's own clock another's may be: far more than clocks of machines that keep time at all,
and little enough to wait for."""


def is_absurd(epoch: int, now: int) -> bool:
    """Whether no honest client can have written *epoch* by *now* (Unix seconds, the reader's own clock)."""
    return epoch > now + EPOCH_AHEAD_S


def later_epoch(known: Iterable[int], now: int) -> int:
    """The epoch that is begun at *now* (Unix seconds), later than each that is *known* and not absurd."""
    return max(now, *(epoch + 1 for epoch in known if not is_absurd(epoch, now)), 0)


def check_epoch(before: int | None, epoch: int | None, now: int) -> None:
    """Whether a document of *epoch* may follow one of *before*; None for one that does not say its epoch.

    The same one always may, whatever the clock says: it was let pass before. An absurd one may be followed by
    any that is not. Refused (rule `epoch`) where it may not. *now* is Unix seconds.
    """
    if epoch is None:
        raise _refused("the document does not say its epoch", "use the present version of trustedpods")
    if epoch == before:
        return
    if is_absurd(epoch, now):
        raise _refused(
            f"the epoch {epoch} is {epoch - now} s ahead of the clock ({now})",
            "look at both machines' clocks; `state backup`, then `state restore` of it, begins a sane epoch",
        )
    if before is not None and epoch < before and not is_absurd(before, now):
        raise _refused(
            f"the epoch {epoch} is before {before}, which counts", "read the network's state again"
        )


def _refused(what: str, hint: str) -> Refused:
    return Refused(what, rule="epoch", hint=hint)
