# SPDX-License-Identifier: Apache-2.0
import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.lifecycle import DEFAULT_GRACE_S, MAX_GRACE_S
from trustedpods.protocol.units import KIB, Usage
from trustedpods.provider.core.funds import peak_per_second
from trustedpods.provider.core.metering import (
    REMOVAL_LAG_S,
    REPORT_LAG_S,
    Ceiling,
    Freeze,
    Holding,
    Ledger,
    Run,
    TrafficTotal,
    ceiling_at,
    count,
    drain_limit,
    horizon,
    longest_overlap,
    overlap,
    rate,
    usage,
)
from trustedpods.provider.core.metering import held as kept
from trustedpods.provider.core.pod import PodSize
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.watch import open_problems

TIMES = st.integers(0, 5000)


@st.composite
def spans(draw):
    started = draw(TIMES)
    return started, draw(st.none() | st.integers(started, 6000))


@st.composite
def ledgers(draw):
    runs = tuple(
        Run(
            str(n),
            started,
            ended,
            draw(st.integers(1, 64_000)),
            draw(st.integers(1, 1 << 20)),
            draw(st.integers(0, 1 << 20)),
        )
        for n in range(draw(st.integers(0, 5)))
        for started, ended in [draw(spans())]
    )
    holdings = tuple(
        Holding(started, ended, draw(st.integers(1, 1 << 20)))
        for _ in range(draw(st.integers(0, 4)))
        for started, ended in [draw(spans())]
    )
    steps = draw(
        st.lists(st.tuples(st.integers(1, 600), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=8)
    )
    totals, at, out, inn = [], 0, 0, 0
    for pause, egress, ingress in steps:
        at, out, inn = at + pause, out + egress, inn + ingress
        totals.append(TrafficTotal(at, out, inn))
    since = sorted(draw(st.lists(TIMES, max_size=3, unique=True)))
    ceilings = tuple(Ceiling(at, *(draw(st.integers(0, 1 << 20)) for _ in range(3))) for at in since)
    return Ledger(runs, holdings, tuple(totals), ceilings, tuple(draw(freezes(runs))))


@st.composite
def freezes(draw, runs):
    """One after another for each run, also after its end; of the last perhaps no end is known."""
    found = []
    for run in runs:
        marks = sorted(draw(st.lists(TIMES, max_size=6, unique=True)))
        for begun, ended in itertools.zip_longest(marks[::2], marks[1::2]):
            found.append(Freeze(run.uid, begun, ended, draw(st.integers(0, 1 << 21))))
    return found


@given(ledgers(), TIMES, TIMES, TIMES)
def test_periods_add_up_exactly(ledger, one, two, three):
    a, b, c = sorted((one, two, three))
    assert usage(ledger, a, b) + usage(ledger, b, c) == usage(ledger, a, c)


@given(ledgers(), TIMES, st.integers(0, 30))
def test_a_walk_tells_what_its_single_seconds_tell(ledger, begin, seconds):
    whole = count(ledger, begin, begin + seconds)
    singles = [count(ledger, at, at + 1) for at in range(begin, begin + seconds)]
    assert whole.usage.cpu_core_ms == sum(single.usage.cpu_core_ms for single in singles)
    streaks = "".join(str(single.excess_s) for single in singles).split("0")
    assert whole.excess_s == max(map(len, streaks))


@given(ledgers(), TIMES)
def test_an_empty_period_is_free(ledger, at):
    assert usage(ledger, at, at).quantities == (0, 0, 0, 0, 0)


@given(ledgers(), TIMES, TIMES)
def test_traffic_is_never_rounded_up(ledger, one, two):
    a, b = sorted((one, two))
    passed = [t for t in ledger.traffic if t.at < b]
    last = passed[-1].egress_bytes if passed else 0
    assert (usage(ledger, 0, a) + usage(ledger, a, b)).egress_kib * KIB <= last


def test_a_run_costs_what_it_reserved_for_as_long_as_it_ran():
    ledger = Ledger(runs=(Run("a", 100, 110, 250, 64, 0),))
    found = usage(ledger, 0, 1000)
    assert (found.cpu_core_ms, found.memory_mib_s) == (2500, 640)


def test_a_frozen_run_costs_no_cpu_and_the_memory_that_it_holds():
    run, held = Run("a", 100, 200, 250, 64, 3), Freeze("a", 120, 150, 40)
    used = usage(Ledger((run,), freezes=(held,)), 0, 1000)
    assert used == Usage(250 * 70, 64 * 70 + 40 * 30, 3 * 100)
    assert usage(Ledger((run,), freezes=(Freeze("a", 190, None, 999),)), 0, 1000) == Usage(
        250 * 90, 6400, 300
    )
    assert usage(Ledger((run,), freezes=(Freeze("another", 0, None, 0),)), 0, 1000) == Usage(
        25_000, 6400, 300
    )
    on = replace(run, ended=None)
    assert rate(Ledger((on,), freezes=(Freeze("a", 120, None, 40),)), 130) == Usage(0, 40, 3)
    assert rate(Ledger((on,), freezes=(held,)), 160) == Usage(250, 64, 3)


@given(ledgers(), TIMES, st.integers(0, 60))
def test_a_freeze_makes_nothing_dearer_and_nothing_less_than_free(ledger, begin, seconds):
    awake = usage(replace(ledger, freezes=()), begin, begin + seconds)
    frozen = usage(ledger, begin, begin + seconds)
    assert all(0 <= one <= other for one, other in zip(frozen.quantities, awake.quantities, strict=True))


def test_an_open_run_counts_up_to_the_end_of_the_period():
    ledger = Ledger(runs=(Run("a", 100, None, 1000, 1, 0),))
    assert usage(ledger, 0, 130).cpu_core_ms == 30_000


def test_the_rate_counts_only_what_goes_on():
    ledger = Ledger(
        runs=(Run("a", 1, None, 100, 64, 0), Run("b", 1, 5, 900, 900, 0)),
        holdings=(Holding(1, None, 20), Holding(1, 5, 700)),
    )
    assert rate(ledger, 10).quantities == (100, 64, 20, 0, 0)


SIZES = st.integers(0, 1 << 20)


@given(SIZES, SIZES, SIZES, SIZES, SIZES, st.integers(0, 9), st.integers(0, 10**6))
def test_meter_cap_and_publisher_count_scratch_alike(volume, image, scratch, memory, idle, replicas, seconds):
    """One law: what is billed, what the cap must let through, and what the client's audit allows."""
    size = PodSize(100, memory, volume, image, scratch)
    shape = Shape(100, memory, volume + image, scratch, max_replicas=max(1, replicas))
    held = (volume, image, max(0, idle - volume - image))
    ledger = Ledger(
        tuple(Run(str(n), 50, 50 + seconds, 100, memory, scratch) for n in range(replicas)),
        tuple(Holding(50, None, mib) for mib in held),
    )
    used = usage(ledger, 50, 50 + seconds)
    assert used == shape.awake(seconds, replicas, idle)
    assert used.storage_mib_s == (max(volume + image, idle) + replicas * scratch) * seconds
    assert peak_per_second(size, replicas, idle) == shape.awake(1, replicas, idle)
    assert open_problems(shape, idle, used, 50, 50 + seconds) == []


def test_scratch_is_part_of_the_rate_but_not_of_what_is_kept():
    ledger = Ledger(
        runs=(Run("a", 1, None, 100, 64, 30), Run("b", 1, 5, 900, 900, 900)), holdings=(Holding(1, None, 20),)
    )
    assert rate(ledger, 10).storage_mib_s == 50
    assert kept(ledger, 10) == 20


def test_overlap_of_strangers_is_nothing():
    assert overlap(10, 20, 20, 30) == 0
    assert overlap(10, 20, 0, 10) == 0


def test_nothing_uncertain_is_claimed():
    assert horizon(1000, 2000, running=True) == 1000 - REPORT_LAG_S
    assert horizon(1000, 2000, running=False) == 1000
    assert horizon(1000, 900, running=False) == 900


def test_a_replica_that_has_not_run_yet_holds_the_claim_at_its_start():
    assert horizon(1000, 2000, running=False, pending_since=990) == 990
    assert horizon(1000, 2000, running=True, pending_since=999) == 1000 - REPORT_LAG_S
    assert horizon(1000, 900, running=False, pending_since=990) == 900


def test_what_ends_beside_its_successor_is_billed_only_up_to_the_ceiling():
    ending, next_one = Run("a", 0, 40, 500, 64, 7), Run("b", 20, None, 500, 64, 7)
    book = Ledger(runs=(ending, next_one), ceilings=(Ceiling(0, 500, 64, 7),))
    assert usage(book, 0, 100).quantities[:2] == (500 * 100, 64 * 100)
    assert usage(replace(book, ceilings=()), 0, 100).cpu_core_ms == 500 * 120
    assert count(book, 0, 100).excess_s == 20
    assert count(book, 0, 30).excess_s == 10
    assert count(book, 40, 100).excess_s == 0


def test_an_open_run_that_nobody_ends_never_costs_more_than_the_ceiling():
    """The object of an evicted replica may stand for ever beside the new ones."""
    stuck = tuple(Run(f"stuck-{n}", n, None, 500, 64, 7) for n in range(30))
    book = Ledger(runs=stuck, ceilings=(Ceiling(0, 1000, 128, 14),))
    assert usage(book, 100, 1420).quantities[:2] == (1000 * 1320, 128 * 1320)
    assert count(book, 100, 1420).excess_s == 1320
    assert rate(book, 1000).quantities[:2] == (1000, 128)


@given(st.integers(1, 900), st.integers(0, 1), st.integers(1, 3))
def test_the_slowest_update_is_no_end_that_nobody_told(start_limit, woken, most):
    """Full size before it and after; the first second that is longer than that is one."""
    proven = 1000 + start_limit
    gone = proven + drain_limit(MAX_GRACE_S) + REMOVAL_LAG_S + MAX_GRACE_S
    before = [Run(f"old-{n}", 0, gone, 500, 64, 7) for n in range(most)]
    newer = [Run("proof", 1000, None, 500, 64, 7)]
    newer += [Run(f"new-{n}", proven, None, 500, 64, 7) for n in range(woken * (most - 1))]
    ceilings = tuple(Ceiling(at, 500 * most, 64 * most, 7 * most) for at in (0, proven))
    book = Ledger(runs=(*before, *newer), ceilings=ceilings)
    assert count(book, 0, gone + 500).excess_s == longest_overlap(start_limit)
    assert usage(book, 0, gone).quantities[:2] == (500 * most * gone, 64 * most * gone)


def test_each_ceiling_holds_until_the_next_and_the_first_from_the_beginning():
    small, large = Ceiling(100, 500, 64, 0), Ceiling(200, 900, 100, 0)
    assert [ceiling_at((small, large), at) for at in (0, 99, 100, 199, 200, 5000)] == [small] * 4 + [
        large
    ] * 2
    assert ceiling_at((), 5) is None
    book = Ledger(runs=(Run("a", 90, 210, 1000, 1000, 7),), ceilings=(small, large))
    assert usage(book, 0, 300).cpu_core_ms == 500 * 110 + 900 * 10


@pytest.mark.parametrize(("grace", "seconds"), [(1, 30), (DEFAULT_GRACE_S, 30), (31, 31), (MAX_GRACE_S, 120)])
def test_requests_are_finished_within_the_pods_own_time_to_end(grace, seconds):
    assert drain_limit(grace) == seconds
