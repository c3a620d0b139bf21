# SPDX-License-Identifier: Apache-2.0
"""A network's document, of which each of its clusters keeps a copy, and what a copy answers.

A change is written to all copies twice: first as *pending* everywhere, then committed everywhere.
So whoever comes next finds, in every case, either the old document on all copies or the new one on
at least one, pending or committed, and rolls it forward.
"""

from dataclasses import dataclass
from typing import NewType

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
