# SPDX-License-Identifier: Apache-2.0
"""Meter, contract, client and an observer compute one bill and one cap, also of replicas still ending.

A pod is woken again and again while earlier replicas take their time to end, and is updated to other
sizes between: the newer version proves itself beside the one that serves. Whatever happens: the meter
bills what somebody who only counts seconds would bill, the cap that was agreed never cuts it, and no
check of the client calls it too much.
"""

from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.publisher.core.test_bill import PRICES, account, report
from tests.publisher.core.test_select import LEASTS, SHAPES
from tests.publisher.core.test_select import PRICES as PRICES_OF_ALL
from trustedpods.contracts.records import Channel
from trustedpods.contracts.settlement import settle
from trustedpods.contracts.terms import MAX_DEPOSIT, Terms
from trustedpods.contracts.usage import ItemFlags, UsageItem
from trustedpods.manifests.spec.lifecycle import MAX_GRACE_S
from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import TokenUnits, UnixSeconds, Usage
from trustedpods.provider.config import TermsSection
from trustedpods.provider.core.funds import affordable, peak_per_second
from trustedpods.provider.core.metering import Ceiling, Ledger, Run, usage
from trustedpods.provider.core.pod import PodSize, Scaling
from trustedpods.publisher.core.bill import make_bill
from trustedpods.publisher.core.cost import Shape, cost_of, replicas_within, terms_of
from trustedpods.publisher.core.watch import open_problems

START = 1_800_000_000
METER = 7
START_LIMIT_S = 60


@dataclass(frozen=True)
class Version:
    """What serves from a second on, until the next one does; the first from second 0."""

    shape: Shape
    since: int

    @property
    def ceiling(self) -> Ceiling:
        one, most = self.shape, self.shape.max_replicas
        since = UnixSeconds(START + self.since)
        return Ceiling(since, most * one.cpu_milli, most * one.memory_mib, most * one.scratch_mib)


@dataclass(frozen=True)
class Story:
    """A pod's whole life: its versions, what ran, and where claims were cut. Seconds from `START`."""

    versions: tuple[Version, ...]
    runs: tuple[Run, ...]
    cuts: tuple[int, ...]

    @property
    def shape(self) -> Shape:
        """The largest that the pod ever had, as the publisher keeps it and makes the cap for."""
        shapes = [version.shape for version in self.versions]
        most = max(shape.max_replicas for shape in shapes)
        sizes = zip(*((one.cpu_milli, one.memory_mib, one.scratch_mib) for one in shapes), strict=True)
        cpu, memory, scratch = map(max, sizes)
        return Shape(cpu, memory, 0, scratch, most)

    @property
    def ledger(self) -> Ledger:
        return Ledger(runs=self.runs, ceilings=tuple(version.ceiling for version in self.versions))

    @property
    def periods(self) -> list[tuple[int, int]]:
        return [(START + a, START + b) for a, b in pairwise((0, *self.cuts))]


@st.composite
def shapes(draw) -> Shape:
    return Shape(
        draw(st.integers(1, 900)),
        draw(st.integers(1, 300)),
        0,
        draw(st.integers(0, 99)),
        draw(st.integers(1, 3)),
    )


def run_of(shape: Shape, uid: str, begins: int, ended: int | None) -> Run:
    end = None if ended is None else UnixSeconds(START + ended)
    sizes = (shape.cpu_milli, shape.memory_mib, shape.scratch_mib)
    return Run(uid, UnixSeconds(START + begins), end, *sizes)


@st.composite
def stories(draw) -> Story:
    """Versions one after another, and what runs of each.

    Of one version never more than `max` that are not asked to end; each of them ends as late as it likes,
    also beside the next version. That one proves itself beside it, and some never do.
    """
    versions, runs, since = [], [], 0
    for number in range(draw(st.integers(1, 3))):
        version = Version(draw(shapes()), since)
        versions.append(version)
        runs += draw(lives(version, f"v{number}"))
        since += draw(st.integers(1, 90))
    for number, version in enumerate(versions[1:]):
        begins = max(0, version.since - draw(st.integers(0, START_LIMIT_S)))
        runs.append(run_of(version.shape, f"proof{number}", begins, version.since + draw(st.integers(0, 60))))
    for number in range(draw(st.integers(0, 2))):
        begins = draw(st.integers(0, 200))
        ended = begins + draw(st.integers(0, START_LIMIT_S + MAX_GRACE_S))
        runs.append(run_of(draw(shapes()), f"broken{number}", begins, ended))
    cuts = sorted(draw(st.sets(st.integers(1, 300), min_size=1, max_size=4)))
    return Story(tuple(versions), tuple(runs), tuple(cuts))


@st.composite
def lives(draw, version: Version, uid: str) -> list[Run]:
    """Replicas of one version; nobody ever says of some that they ended."""
    free, runs = [version.since] * version.shape.max_replicas, []
    for number in range(draw(st.integers(0, 6))):
        place = free.index(min(free))
        begins = free[place] + draw(st.integers(0, 20))
        asked = begins + draw(st.integers(0, 40))
        ended = asked + draw(st.integers(0, MAX_GRACE_S))
        free[place] = asked
        forgotten = draw(st.integers(0, 9)) == 0
        runs.append(run_of(version.shape, f"{uid}-{number}", begins, None if forgotten else ended))
    return runs


def seconds_seen(story: Story) -> list[tuple[int, int, int]]:
    """Somebody outside who looks every second what is there and which version serves; the whole story."""
    end = START + story.cuts[-1]
    there = [[0, 0, 0] for _ in range(START, end)]
    for run in story.runs:
        for second in range(run.started, min(end, run.ended or end)):
            sums = there[second - START]
            sums[0] += run.cpu_milli
            sums[1] += run.memory_mib
            sums[2] += run.scratch_mib
    seen = []
    for second, sums in enumerate(there):
        serving = [one.shape for one in story.versions if one.since <= second][-1]
        limits = (serving.cpu_milli, serving.memory_mib, serving.scratch_mib)
        cpu, memory, scratch = (
            min(total, serving.max_replicas * limit) for total, limit in zip(sums, limits, strict=True)
        )
        seen.append((cpu, memory, scratch))
    return seen


def observed(seen: list[tuple[int, int, int]], from_: int, up_to: int) -> Usage:
    cpu, memory, scratch = map(sum, zip(*seen[from_ - START : up_to - START], strict=True))
    return Usage(cpu_core_ms=cpu, memory_mib_s=memory, storage_mib_s=scratch)


@given(stories())
@settings(max_examples=examples(10_000, few=100), deadline=None)
def test_all_agree_to_the_unit(story):
    billed = [usage(story.ledger, from_, up_to) for from_, up_to in story.periods]
    seen = seconds_seen(story)
    assert billed == [observed(seen, from_, up_to) for from_, up_to in story.periods]
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


@given(SHAPES, PRICES_OF_ALL, LEASTS, st.integers(1, 100_000), st.booleans())
def test_a_cap_that_a_client_opens_with_every_provider_takes(shape, prices, least, interval, lowest):
    """However often it claims: what is refused here is refused after the channel was paid."""
    cost = cost_of(shape, prices, least)
    limit = TokenUnits(cost.least_cap * 2) if lowest else None
    if cost.absurd:
        return
    terms = terms_of(shape, prices, least, limit)
    held_to = TermsSection(claim_interval_s=interval).cap_interval_s
    size = PodSize(shape.cpu_milli, shape.memory_mib, shape.storage_mib, 0, shape.scratch_mib)
    assert terms.covers_peak(peak_per_second(size, 1, least.idle_mib), held_to)
    runs = affordable(terms, size, Scaling(0, shape.max_replicas, 5, 50), least.idle_mib, held_to)
    assert runs >= replicas_within(shape, terms, least.idle_mib)
