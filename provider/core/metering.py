# SPDX-License-Identifier: Apache-2.0
"""What a pod used between two moments; docs/metering.md is the law that this file implements.

Every quantity is a whole number of (amount x seconds), or the difference of two running totals
rounded down, so periods add up exactly: usage(a, c) = usage(a, b) + usage(b, c).
"""

from collections.abc import Iterable
from dataclasses import dataclass

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
class Holding:
    """So many MiB kept for the pod (volumes, image, or what is missing to the idle minimum)."""

    started: UnixSeconds
    ended: UnixSeconds | None
    mib: int


@dataclass(frozen=True, slots=True)
class TrafficTotal:
    """Bytes that had passed the facade by `at`, counted from the pod's first day."""

    at: UnixSeconds
    egress_bytes: int
    ingress_bytes: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """Everything of one channel that may touch a period.

    `traffic` is sorted by time, and begins with the last total before the period.
    """

    runs: tuple[Run, ...] = ()
    holdings: tuple[Holding, ...] = ()
    traffic: tuple[TrafficTotal, ...] = ()


def overlap(started: UnixSeconds, ended: UnixSeconds | None, from_: UnixSeconds, up_to: UnixSeconds) -> int:
    """Seconds that [started, ended) and [from_, up_to) share; None means still open."""
    end = up_to if ended is None else min(ended, up_to)
    return max(0, end - max(started, from_))


def usage(ledger: Ledger, from_: UnixSeconds, up_to: UnixSeconds) -> Usage:
    """Usage in [from_, up_to), each quantity within what a claim can carry."""
    cpu = memory = storage = 0
    for run in ledger.runs:
        seconds = overlap(run.started, run.ended, from_, up_to)
        cpu += run.cpu_milli * seconds
        memory += run.memory_mib * seconds
        storage += run.scratch_mib * seconds
    for holding in ledger.holdings:
        storage += holding.mib * overlap(holding.started, holding.ended, from_, up_to)
    before, after = _total(ledger.traffic, from_), _total(ledger.traffic, up_to)
    egress = after.egress_bytes // KIB - before.egress_bytes // KIB
    ingress = after.ingress_bytes // KIB - before.ingress_bytes // KIB
    return Usage(*(min(quantity, MAX_QUANTITY) for quantity in (cpu, memory, storage, egress, ingress)))


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
    runs = [run for run in ledger.runs if run.ended is None and run.started <= now]
    return Usage(
        cpu_core_ms=sum(run.cpu_milli for run in runs),
        memory_mib_s=sum(run.memory_mib for run in runs),
        storage_mib_s=held(ledger, now) + sum(run.scratch_mib for run in runs),
    )


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
