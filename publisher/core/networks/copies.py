# SPDX-License-Identifier: Apache-2.0
"""The copies of a network's document beside each other: equal, being written, or really unequal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustedpods.protocol.networks.documents import NOTHING, Copy, Document


@dataclass(frozen=True, slots=True)
class Equal:
    """All copies hold `document`, and nobody writes."""

    document: Document


@dataclass(frozen=True, slots=True)
class BeingWritten:
    """A change to `document` was begun and not brought to its end; it is to be rolled forward.

    `base` is what it follows; `to_prepare` are the clusters that do not have it at all,
    `to_commit` those where it does not count yet.
    """

    base: Document
    document: Document
    to_prepare: tuple[str, ...]
    to_commit: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unequal:
    """No write explains how the copies differ: somebody has to say which one is right."""

    copies: Mapping[str, Copy]


def compare(copies: Mapping[str, Copy]) -> Equal | BeingWritten | Unequal:
    """What the *copies* of all clusters, by their names, are to each other.

    A writer begins to commit when all have the document pending. So where it counts anywhere, every
    other copy has it pending; where it counts nowhere, any number may have it pending.
    """
    currents = _distinct(copy.current for copy in copies.values())
    pending = _distinct(copy.pending for copy in copies.values() if copy.pending)
    if len(currents) == 1 and not pending:
        return Equal(currents[0])
    document = max((*currents, *pending), key=lambda each: each.generation)
    bases = [each for each in currents if each != document]
    waiting = {name: copy for name, copy in copies.items() if copy.current != document}
    counts_somewhere = len(waiting) < len(copies)
    explained = (
        len(bases) == 1
        and bases[0].generation == document.generation - 1
        and all(each == document for each in pending)
        and not (counts_somewhere and any(copy.pending != document for copy in waiting.values()))
    )
    if not explained:
        return Unequal(copies)
    missing = tuple(name for name, copy in waiting.items() if copy.pending is None)
    return BeingWritten(bases[0], document, missing, tuple(waiting))


def left_by_removal(copies: Mapping[str, Copy]) -> Document | None:
    """The document that a removal which was not brought to its end left on some copies; None for no such.

    A first write that was not brought to its end looks otherwise: it is pending wherever it does not count.
    """
    documents = [each for each in _distinct(copy.current for copy in copies.values()) if each != NOTHING]
    gone = any(copy == Copy() for copy in copies.values())
    if not gone or len(documents) != 1 or any(copy.pending for copy in copies.values()):
        return None
    return documents[0]


def _distinct(documents: Iterable[Document]) -> list[Document]:
    return list(dict.fromkeys(documents))
