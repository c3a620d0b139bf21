# SPDX-License-Identifier: Apache-2.0
"""Meter, contract, client and an observer compute one bill, also of replicas that are still ending.

A pod is woken again and again while earlier replicas take their time to end, and is updated to other
sizes between. Whatever happens: the meter bills what somebody who only counts seconds would bill, the
cap that was agreed never cuts it, and no check of the client calls it too much.
"""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.publisher.core.test_bill import PRICES, account, report
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT, Terms
from trustedpods.contracts.usage import ItemFlags, UsageItem
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.provider.core.metering import Ceiling, Ledger, Run, usage
from trustedpods.publisher.core.bill import make_bill
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.core.watch import open_problems

START = 1_800_000_000
METER = 7
GRACE_S = 30


@dataclass(frozen=True)
class Story:
    """A pod's whole life: its size, what ran, and where claims were cut. Times in seconds from `START`."""

    shape: Shape
    runs: tuple[Run, ...]
    cuts: tuple[int, ...]

    @property
    def ledger(self) -> Ledger:
        most = self.shape.max_replicas
        ceiling = Ceiling(
            START, most * self.shape.cpu_milli, most * self.shape.memory_mib, most * self.shape.scratch_mib
        )
        return Ledger(runs=self.runs, ceilings=(ceiling,))

    @property
    def periods(self) -> list[tuple[int, int]]:
        return [(START + a, START + b) for a, b in pairwise((0, *self.cuts))]


@st.composite
def stories(draw) -> Story:
    """Never more than `max` that are not asked to end; each of them ends as late as it likes."""
    shape = Shape(
        draw(st.integers(1, 900)),
        draw(st.integers(1, 300)),
        0,
        draw(st.integers(0, 99)),
        draw(st.integers(1, 3)),
    )
    free = [0] * shape.max_replicas
    runs = []
    for number in range(draw(st.integers(0, 8))):
        place = free.index(min(free))
        begins = free[place] + draw(st.integers(0, 20))
        asked = begins + draw(st.integers(0, 40))
        ended = asked + draw(st.integers(0, GRACE_S))
        free[place] = asked
        forgotten = draw(st.integers(0, 9)) == 0  # nobody ever says that it ended
        end = None if forgotten else UnixSeconds(START + ended)
        runs.append(
            Run(
                str(number),
                UnixSeconds(START + begins),
                end,
                shape.cpu_milli,
                shape.memory_mib,
                shape.scratch_mib,
            )
        )
    cuts = sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=4)))
    return Story(shape, tuple(runs), tuple(cuts))


def observed(story: Story, from_: int, up_to: int) -> Usage:
    """Somebody outside who writes down, every second, how many replicas there are."""
    replicas = 0
    for second in range(from_, up_to):
        there = sum(run.started <= second and (run.ended is None or second < run.ended) for run in story.runs)
        replicas += min(there, story.shape.max_replicas)
    one = story.shape
    return Usage(
        cpu_core_ms=replicas * one.cpu_milli,
        memory_mib_s=replicas * one.memory_mib,
        storage_mib_s=replicas * one.scratch_mib,
    )


@given(stories())
@settings(max_examples=examples(10_000, few=100), deadline=None)
def test_all_agree_to_the_unit(story):
    billed = [usage(story.ledger, from_, up_to) for from_, up_to in story.periods]
    assert billed == [observed(story, from_, up_to) for from_, up_to in story.periods]
    assert _flags(story, billed) == [ItemFlags(0)] * len(billed)
    told = report([(up_to - from_, used) for (from_, up_to), used in zip(story.periods, billed, strict=True)])
    assert make_bill(account(), told, told.leaves[0].from_, story.shape).problems == ()
    now = story.periods[-1][1]
    whole = usage(story.ledger, START, now)
    assert open_problems(story.shape, 0, whole, START, now) == []


def _flags(story: Story, billed: list[Usage]) -> list[ItemFlags]:
    """What the contract says of each period, claimed at its end, with a cap made for the pod's peak."""
    shortest = min(up_to - from_ for from_, up_to in story.periods)
    peak = story.shape.awake(1, story.shape.max_replicas)
    terms = Terms.for_peak(PRICES, peak, unlock_s=3600, claim_interval_s=shortest)
    channel = Channel(ChannelId(77), METER, UnixSeconds(START), TokenUnits(MAX_DEPOSIT), terms)
    flags = []
    for (from_, up_to), used in zip(story.periods, billed, strict=True):
        item = UsageItem(ChannelId(77), UnixSeconds(from_), UnixSeconds(up_to), used)
        done = settle(channel, item, METER, UnixSeconds(up_to))
        channel = done.channel
        flags.append(done.result.flags)
    return flags
