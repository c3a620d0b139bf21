# SPDX-License-Identifier: Apache-2.0
"""Leases and documents under arbitrary schedules, and each known wrong protocol caught by the same world."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest

from tests.examples import examples
from tests.networks.world import Broken, World
from trustedpods.protocol.networks.documents import Copy, Prepare, Written
from trustedpods.protocol.networks.leases import Attempt, NotHeld
from trustedpods.provider.core.networks import documents, leases
from trustedpods.publisher.core.networks import locking
from trustedpods.publisher.core.networks.copies import BeingWritten, Equal, Unequal, compare
from trustedpods.publisher.core.networks.locking import Ending, Locking, Phase

PARTS = 8
SCHEDULES = examples(10_000, few=240)
MANY_SCHEDULES = 1_000_000
MUTANT_SCHEDULES = 3_000
"""More than ten times what the longest-lived mutant needed."""


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_breaks_the_leases(part: int) -> None:
    run_schedules(range(part, SCHEDULES, PARTS))


@pytest.mark.soak
@pytest.mark.timeout(2 * 3600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_of_a_million_breaks_the_leases(part: int) -> None:
    run_schedules(range(part, MANY_SCHEDULES, PARTS))


def run_schedules(seeds: range) -> None:
    endings: Counter[Ending] = Counter()
    for seed in seeds:
        world = World(seed)
        try:
            world.run()
        except Broken as broken:
            raise AssertionError(f"seed {seed}: {broken}") from broken
        endings.update(world.outcomes)
    harmed = endings[Ending.LOST] + endings[Ending.UNREACHABLE]
    assert endings[Ending.FINISHED] > harmed > 0, "the world has no faults in it, or nothing else"


def no_fence(patch: pytest.MonkeyPatch) -> None:
    """A write is taken because it was sent, as if the lease were a fence."""
    patch.setattr(documents, "holds", lambda *_: True)


def fence_in_the_lease(patch: pytest.MonkeyPatch) -> None:
    """The fence is a field of the Lease, which is deleted at each release."""
    real = leases.acquire

    def acquire(lease, *rest):
        return real(
            lease if leases.aged(lease, rest[-1]).grant else replace(lease, fence=leases.NO_FENCE), *rest
        )

    patch.setattr(leases, "acquire", acquire)
    patch.setattr(
        documents, "holds", lambda lease, _, fence: lease.grant is not None and lease.grant.fence == fence
    )


def blind_release(patch: pytest.MonkeyPatch) -> None:
    """Who releases deletes the lease, whoever holds it by then."""
    real = leases.release

    def release(lease, attempt, now, *, aside):
        return replace(real(lease, attempt, now, aside=aside), grant=None)

    patch.setattr(leases, "release", release)
    patch.setattr(documents, "holds", lambda lease, _, fence: lease.fence <= fence)


def pending_dropped(patch: pytest.MonkeyPatch) -> None:
    """What is pending is taken for never written."""

    def compared(copies):
        found = compare(copies)
        return Equal(found.base) if isinstance(found, BeingWritten) else found

    def prepare(copy: Copy, lease: leases.Lease, asked: Prepare):
        if not leases.holds(lease, asked.attempt, asked.fence):
            return copy, NotHeld()
        return Copy(copy.current, asked.document), Written()

    patch.setattr(locking, "compare", compared)
    patch.setattr(documents, "prepare", prepare)


def differ_stop(patch: pytest.MonkeyPatch) -> None:
    """Copies that are not equal end the command, whatever the reason."""

    def compared(copies):
        found = compare(copies)
        return Unequal(copies) if isinstance(found, BeingWritten) else found

    patch.setattr(locking, "compare", compared)


def ties_by_whole_seconds(patch: pytest.MonkeyPatch) -> None:
    """The order of attempts is that of coarse stamps; nothing breaks a tie."""
    patch.setattr(Attempt, "__lt__", lambda self, other: self.ticket // 10 < other.ticket // 10)


def giving_way_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """Who gave way asks again at once, not when the other has ended."""
    real = locking._next_phase

    def next_phase(state: Locking) -> Locking:
        after = real(state)
        return (
            replace(after, phase=Phase.ACQUIRING, todo=frozenset()) if after.phase is Phase.ASIDE else after
        )

    patch.setattr(locking, "_next_phase", next_phase)


def never_giving_way(patch: pytest.MonkeyPatch) -> None:
    """Whoever holds something keeps it while it waits."""
    patch.setattr(locking, "_gives_way", lambda *_: False)


def commit_at_once(patch: pytest.MonkeyPatch) -> None:
    """One phase: a cluster lets a document count when it gets it."""

    def prepare(copy: Copy, lease: leases.Lease, asked: Prepare):
        if not leases.holds(lease, asked.attempt, asked.fence):
            return copy, NotHeld()
        return Copy(asked.document), Written()

    patch.setattr(documents, "prepare", prepare)


MUTANTS = (
    no_fence,
    fence_in_the_lease,
    blind_release,
    pending_dropped,
    differ_stop,
    ties_by_whole_seconds,
    giving_way_without_waiting,
    never_giving_way,
    commit_at_once,
)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_each_unsafe_protocol_is_caught(mutant: Callable[[pytest.MonkeyPatch], None]) -> None:
    with patched(mutant):
        seed = next(seed for seed in count() if breaks(seed))
    assert seed < MUTANT_SCHEDULES
    World(seed).run()


def breaks(seed: int) -> bool:
    if seed >= MUTANT_SCHEDULES:
        pytest.fail(f"{MUTANT_SCHEDULES} schedules did not find it out")
    try:
        World(seed).run()
    except Broken:
        return True
    return False


@contextmanager
def patched(mutant: Callable[[pytest.MonkeyPatch], None]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        yield
