# SPDX-License-Identifier: Apache-2.0
"""Which writes a cluster's copy takes."""

from dataclasses import replace

import pytest

from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import (
    NOTHING,
    Commit,
    Copy,
    Document,
    Generation,
    Prepare,
    ReadCopy,
    Remove,
    StaleBase,
    Written,
)
from trustedpods.protocol.networks.leases import (
    LEASE_MS,
    NO_TICKET,
    Acquire,
    Attempt,
    Broken,
    Command,
    Fence,
    Milliseconds,
    NotHeld,
    Release,
)
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.networks.documents import NetworkState, answer

ALICE, BOB = Address("alice"), Address("bob")
MINE = Attempt(1, "mine", ALICE)
START = Milliseconds(0)
ONE = Document(Generation(1), b"one")
OTHER = Document(Generation(1), b"other")
TWO = Document(Generation(2), b"two")
PREPARE = Prepare(MINE, Fence(1), NOTHING, ONE)
COMMIT = Commit(MINE, Fence(1), ONE)
REMOVE = Remove(MINE, Fence(1), ONE)


@pytest.fixture
def state() -> NetworkState:
    told = Command("apply", "laptop", UnixSeconds(0))
    return answer(NetworkState(), Acquire(Attempt(NO_TICKET, "mine", ALICE), told), ALICE, START)[0]


def test_a_document_counts_after_two_writes_and_each_may_be_repeated(state: NetworkState) -> None:
    for _ in range(2):
        state, told = answer(state, PREPARE, ALICE, START)
        assert told == Written()
        assert state.copy == Copy(NOTHING, ONE)
    for _ in range(2):
        state, told = answer(state, COMMIT, ALICE, START)
        assert told == Written()
        assert state.copy == Copy(ONE)
    assert answer(state, PREPARE, ALICE, START) == (state, Written()), "late, and it counts already"


@pytest.mark.parametrize("question", [PREPARE, COMMIT, REMOVE])
@pytest.mark.parametrize("why", ["ended", "older fence", "newer fence", "another attempt", "another signer"])
def test_no_write_without_the_present_grant(
    state: NetworkState, question: Prepare | Commit | Remove, why: str
) -> None:
    signer, now = (BOB, START) if why == "another signer" else (ALICE, START)
    if why == "ended":
        now = LEASE_MS
    elif why == "older fence":
        question = replace(question, fence=Fence(0))
    elif why == "newer fence":
        question = replace(question, fence=Fence(2))
    elif why == "another attempt":
        question = replace(question, attempt=Attempt(1, "other", ALICE))
    assert answer(state, question, signer, now) == (state, NotHeld())


@pytest.mark.parametrize(
    ("copy", "question"),
    [
        (Copy(NOTHING, OTHER), PREPARE),
        (Copy(OTHER), PREPARE),
        (Copy(ONE), replace(PREPARE, base=OTHER, document=TWO)),
        (Copy(ONE), replace(PREPARE, base=ONE, document=replace(TWO, generation=Generation(3)))),
        (Copy(NOTHING), COMMIT),
        (Copy(NOTHING, OTHER), COMMIT),
        (Copy(OTHER), REMOVE),
        (Copy(ONE, TWO), REMOVE),
    ],
    ids=[
        "pending of another",
        "other base",
        "base of another",
        "a gap",
        "nothing pending",
        "other pending",
        "removing another",
        "removing what is being written",
    ],
)
def test_a_write_on_what_the_writer_did_not_read_changes_nothing(
    state: NetworkState, copy: Copy, question: Prepare | Commit | Remove
) -> None:
    state = replace(state, copy=copy)
    assert answer(state, question, ALICE, START) == (state, StaleBase(copy))


def test_what_is_removed_needs_no_place_once_the_lease_is_let_go(state: NetworkState) -> None:
    broken = Broken(MINE, Command("apply", "laptop", UnixSeconds(0)), BOB, "why not", UnixSeconds(0))
    state = replace(state, copy=Copy(ONE), breaks=(broken,))
    for _ in range(2):
        state, told = answer(state, REMOVE, ALICE, START)
        assert (told, state.copy, state.empty) == (Written(), Copy(), False)
    state, _ = answer(state, Release(MINE, aside=False), ALICE, START)
    assert state.empty
    for kept in (replace(state, copy=Copy(NOTHING, ONE)), replace(state, breaks=(broken,))):
        assert not kept.empty


def test_reading_needs_no_lease() -> None:
    state = NetworkState(copy=Copy(ONE, TWO))
    assert answer(state, ReadCopy(), BOB, START) == (state, Copy(ONE, TWO))
