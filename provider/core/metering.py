# SPDX-License-Identifier: Apache-2.0
"""What a pod used between two moments; docs/metering.md is the law that this file implements.

Every quantity is a whole number of (amount x seconds), or the difference of two running totals
rounded down, so periods add up exactly: usage(a, c) = usage(a, b) + usage(b, c).
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from trustedpods.manifests.spec.lifecycle import MAX_GRACE_S
from trustedpods.protocol.units import KIB, MAX_QUANTITY, UnixSeconds, Usage


@dataclass(frozen=True, slots=True)
class Run:
    """One Kubernetes pod from the start of its first container to the end of its last one.

    `ended` is None while it runs. Sizes are what the pod reserved, not what it consumed.
    """

    uid: str
    started: UnixSeconds
    ended: UnixSeconds | None
    cpu_milli: int
    memory_mib: int
    scratch_mib: int


@dataclass(frozen=True, slots=True)
class Freeze:
    """A replica that used no CPU from one moment to another, and held *memory_mib* of its memory.

    `ended` is None while it is frozen; of a run that ended it says nothing after that.
    """

    uid: str
    started: UnixSeconds
    ended: UnixSeconds | None
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Holding:
    """So many MiB kept for the pod (volumes, image, or what is missing to the idle minimum)."""

    started: UnixSeconds
    ended: UnixSeconds | None
    mib: int


@dataclass(frozen=True, slots=True)
class Reserved:
    """What replicas set aside at one moment; scratch is billed as storage."""

    cpu_milli: int
    memory_mib: int
    scratch_mib: int


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that any second from `since` on is billed for, until the next ceiling.

    It is `scale.max` x the limits of one replica of the version that serves. What exceeds it (replicas that
    are still ending while others have begun, a newer version that proves itself beside it) is the provider's
    own cost.
    """

    since: UnixSeconds
    cpu_milli: int
    memory_mib: int
    scratch_mib: int

    def over(self, reserved: Reserved) -> Reserved:
        """What of it is billed."""
        return Reserved(
            min(reserved.cpu_milli, self.cpu_milli),
            min(reserved.memory_mib, self.memory_mib),
            min(reserved.scratch_mib, self.scratch_mib),
        )


@dataclass(frozen=True, slots=True)
class Stretch:
    """What replicas reserved from one moment to another, before any ceiling, and what of it is billed."""

    seconds: int
    reserved: Reserved
    billed: Reserved


@dataclass(frozen=True, slots=True)
class TrafficTotal:
    """Bytes from the pod's first day, to the end of the row that began at `at`."""

    at: UnixSeconds
    egress_bytes: int
    ingress_bytes: int


TRAFFIC_ROW_S = 60
"""Seconds of traffic in one row of the books. Claims need no finer ones, and a pod with traffic in every
second writes 1,440 rows a day instead of 86,400."""


def booked(
    last: TrafficTotal | None, egress_bytes: int, ingress_bytes: int, at: UnixSeconds, since: UnixSeconds
) -> TrafficTotal:
    """The row that holds what passed by *at* too, where *last* is the newest so far.

    That is *last* itself while it is younger than `TRAFFIC_ROW_S`, unless it began before *since* (an earlier
    daemon may have claimed from it). So bytes count from when their row began, a minute before they
    passed at most, and never in a period that was claimed before: a claim closes the row first (`closed`).
    """
    if last is None:
        return TrafficTotal(at, egress_bytes, ingress_bytes)
    same = at < last.at + TRAFFIC_ROW_S and (last.at >= since or at <= last.at)
    begun = last.at if same else at
    return TrafficTotal(begun, last.egress_bytes + egress_bytes, last.ingress_bytes + ingress_bytes)


def closed(last: TrafficTotal | None, at: UnixSeconds) -> TrafficTotal | None:
    """A row for all later bytes, so that no period up to *at* grows any more; None where there is one."""
    if last is None:
        return TrafficTotal(at, 0, 0)
    return None if last.at >= at else TrafficTotal(at, last.egress_bytes, last.ingress_bytes)


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything of one channel that may touch a period.

    `traffic` is sorted by time, and begins with the last total before the period. `ceilings` are sorted
    by time too; before the first one the first holds, and a ledger without any (its pod was never
    applied) bounds nothing.
    """

    runs: tuple[Run, ...] = ()
    holdings: tuple[Holding, ...] = ()
    traffic: tuple[TrafficTotal, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    freezes: tuple[Freeze, ...] = ()


def overlap(started: UnixSeconds, ended: UnixSeconds | None, from_: UnixSeconds, up_to: UnixSeconds) -> int:
    """Seconds that [started, ended) and [from_, up_to) share; None means still open."""
    end = up_to if ended is None else min(ended, up_to)
    return max(0, end - max(started, from_))


@dataclass(frozen=True, slots=True)
class Period:
    """What a pod used in a period, each quantity within what a claim can carry.

    `excess_s`: the longest time without a break in which replicas exceeded the ceiling, in seconds.
    """

    usage: Usage
    excess_s: int


def usage(ledger: Ledger, from_: UnixSeconds, up_to: UnixSeconds) -> Usage:
    """Usage in [from_, up_to)."""
    return count(ledger, from_, up_to).usage


def count(ledger: Ledger, from_: UnixSeconds, up_to: UnixSeconds) -> Period:
    """What was used in [from_, up_to), and whether more ran than may, in one walk."""
    cpu = memory = storage = longest = current = 0
    for stretch in stretches(ledger, from_, up_to):
        current = current + stretch.seconds if stretch.billed != stretch.reserved else 0
        longest = max(longest, current)
        cpu += stretch.billed.cpu_milli * stretch.seconds
        memory += stretch.billed.memory_mib * stretch.seconds
        storage += stretch.billed.scratch_mib * stretch.seconds
    for holding in ledger.holdings:
        storage += holding.mib * overlap(holding.started, holding.ended, from_, up_to)
    before, after = _total(ledger.traffic, from_), _total(ledger.traffic, up_to)
    egress = after.egress_bytes // KIB - before.egress_bytes // KIB
    ingress = after.ingress_bytes // KIB - before.ingress_bytes // KIB
    quantities = (min(quantity, MAX_QUANTITY) for quantity in (cpu, memory, storage, egress, ingress))
    return Period(Usage(*quantities), longest)


def stretches(ledger: Ledger, from_: UnixSeconds, up_to: UnixSeconds) -> Iterator[Stretch]:
    """[from_, up_to) in pieces in which nothing begins, ends or changes its ceiling."""
    changes: defaultdict[UnixSeconds, list[int]] = defaultdict(lambda: [0, 0, 0])
    runs = {run.uid: run for run in ledger.runs}
    sizes: list[tuple[Run, Run | Freeze, tuple[int, int, int]]] = [
        (run, run, (run.cpu_milli, run.memory_mib, run.scratch_mib)) for run in ledger.runs
    ]
    for freeze in ledger.freezes:
        frozen = runs.get(freeze.uid)
        if frozen is not None:
            less = (-frozen.cpu_milli, min(0, freeze.memory_mib - frozen.memory_mib), 0)
            sizes.append((frozen, freeze, less))
    for run, one, parts in sizes:
        begin, end = max(run.started, one.started, from_), _first(run.ended, one.ended, up_to)
        if begin < end:
            for at, sign in ((begin, 1), (end, -1)):
                for part, size in enumerate(parts):
                    changes[at][part] += sign * size
    marks = {ceiling.since for ceiling in ledger.ceilings if from_ < ceiling.since < up_to}
    sums = [0, 0, 0]
    for at, after in pairwise(sorted({from_, up_to} | marks | changes.keys())):
        sums = [before + change for before, change in zip(sums, changes[at], strict=True)]
        # A clock that was set back may have a replica frozen twice at once.
        reserved, most = Reserved(*(max(0, one) for one in sums)), ceiling_at(ledger.ceilings, at)
        yield Stretch(after - at, reserved, reserved if most is None else most.over(reserved))


def _first(*ends: UnixSeconds | None) -> UnixSeconds:
    """The earliest of those that are known."""
    return min(end for end in ends if end is not None)


def ceiling_at(ceilings: Sequence[Ceiling], at: UnixSeconds) -> Ceiling | None:
    """The one that holds at *at*; None where there is none at all."""
    place = bisect_right(ceilings, at, key=lambda ceiling: ceiling.since)
    return ceilings[max(0, place - 1)] if ceilings else None


def _total(traffic: Iterable[TrafficTotal], at: UnixSeconds) -> TrafficTotal:
    """The last total from before *at*."""
    last = TrafficTotal(UnixSeconds(0), 0, 0)
    for total in traffic:
        if total.at >= at:
            break
        last = total
    return last


def rate(ledger: Ledger, now: UnixSeconds) -> Usage:
    """What one second costs now in CPU, memory and storage (traffic comes as it likes)."""
    running = tuple(run for run in ledger.runs if run.ended is None and run.started <= now)
    holdings = tuple(one for one in ledger.holdings if one.ended is None and one.started <= now)
    frozen = tuple(one for one in ledger.freezes if one.ended is None and one.started <= now)
    open_ones = Ledger(running, holdings, ceilings=ledger.ceilings, freezes=frozen)
    return usage(open_ones, now, UnixSeconds(now + 1))


def held(ledger: Ledger, now: UnixSeconds) -> int:
    """MiB that are kept for the pod now, whether it runs or not."""
    return sum(h.mib for h in ledger.holdings if h.ended is None and h.started <= now)


def horizon(
    observed_at: UnixSeconds,
    chain_time: UnixSeconds,
    *,
    running: bool,
    pending_since: UnixSeconds | None = None,
) -> UnixSeconds:
    """Up to when everything is known: nothing after it may be claimed yet.

    While something runs, its end may be reported a little late; `REPORT_LAG_S` keeps that
    uncertain stretch out of the claim. A replica of which no container has run yet counts from
    *pending_since* once one does, so until that is known nothing from there on is.
    """
    known = observed_at - REPORT_LAG_S if running else observed_at
    if pending_since is not None:
        known = min(known, pending_since)
    return UnixSeconds(min(known, chain_time))


REPORT_LAG_S = 3
"""How late the kubelet may report that a container ended (it reports within a second or two)."""

DRAIN_LIMIT_S = 30
"""The version before may finish its requests for so long, or for its own grace period if that is longer; what
takes longer is cut by an update."""

REMOVAL_LAG_S = 30
"""Kubernetes has told all replicas of a namespace to end by then, once the namespace is to go."""


def drain_limit(grace_s: int) -> int:
    """Seconds to finish requests in, of a pod with this grace period: what ends slowly also serves slowly."""
    return max(DRAIN_LIMIT_S, grace_s)


def longest_overlap(start_limit_s: int) -> int:
    """Seconds for which more may run than is billed: longer is no overlap but an end that nobody told.

    The longest is an update's: the newer version proves itself beside the one before for *start_limit_s*
    at most, then that one finishes its requests and ends, each within the longest grace period that a
    manifest may ask for. Where a pod is woken while it ends, it is less.
    """
    return start_limit_s + drain_limit(MAX_GRACE_S) + REMOVAL_LAG_S + MAX_GRACE_S
