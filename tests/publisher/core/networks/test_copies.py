# SPDX-License-Identifier: Apache-2.0
"""Copies beside each other: every moment of a write is known for what it is, and nothing else is."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.networks.documents import NOTHING, Copy, Document, Generation
from trustedpods.publisher.core.networks.copies import BeingWritten, Equal, Unequal, compare

OLD = Document(Generation(4), b"old")
NEW = Document(Generation(5), b"new")
RIVAL = Document(Generation(5), b"rival")


@given(st.integers(1, 6), st.integers(0, 12), st.permutations(range(6)))
def test_every_moment_of_a_write_is_rolled_forward(clusters: int, steps: int, order: list[int]) -> None:
    """A writer prepares all in some order, then commits all in some order; it stops after any step."""
    names = [f"k{i}" for i in range(clusters)]
    copies = dict.fromkeys(names, Copy(OLD))
    in_turn = [names[i] for i in order if i < clusters]
    for name in in_turn[:steps]:
        copies[name] = Copy(OLD, NEW)
    for name in in_turn[: max(0, steps - clusters)]:
        copies[name] = Copy(NEW)
    found = compare(copies)
    if steps == 0:
        assert found == Equal(OLD)
    elif steps >= 2 * clusters:
        assert found == Equal(NEW)
    else:
        assert isinstance(found, BeingWritten)
        assert (found.base, found.document) == (OLD, NEW)
        for name in found.to_prepare:
            copies[name] = replace(copies[name], pending=NEW)
        assert all(copies[name] == Copy(OLD, NEW) for name in found.to_commit)
        assert all(copies[name] == Copy(NEW) for name in set(names) - set(found.to_commit))


@pytest.mark.parametrize(
    "copies",
    [
        (Copy(OLD), Copy(NEW)),
        (Copy(OLD), Copy(OLD, NEW), Copy(NEW)),
        (Copy(OLD, NEW), Copy(OLD, RIVAL)),
        (Copy(NEW), Copy(RIVAL)),
        (Copy(NEW), Copy(OLD, RIVAL)),
        (Copy(NOTHING), Copy(NOTHING, NEW)),
        (Copy(NOTHING), Copy(OLD), Copy(NEW)),
        (Copy(NEW, OLD), Copy(NEW)),
    ],
    ids=[
        "one does not know it",
        "one does not know what counts elsewhere",
        "two pending",
        "two that count",
        "another pending beside one that counts",
        "a gap",
        "three generations",
        "an older one pending",
    ],
)
def test_what_no_write_explains_is_unequal(copies: tuple[Copy, ...]) -> None:
    named = {f"k{i}": copy for i, copy in enumerate(copies)}
    assert compare(named) == Unequal(named)
