# SPDX-License-Identifier: Apache-2.0
"""How long a pod's money lasts, and what follows from it."""

from dataclasses import dataclass, replace

from trustedpods.contracts.terms import Terms, due, price_list
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.pod import PodSize, Scaling

REVIVE_S = 20
"""A stopped pod comes back when its money lasts at least so long with one replica running."""

STOPPING_S = 4
"""A pod is stopped so long before its money ends: containers need a moment to end, and are billed
until they did."""

CLOSING_MARGIN_S = 20
"""How long before an announced unlock ends the last claim is cut: time to mine it twice."""

MAX_CHECK_S = 60
"""The longest that a pod's funds go unlooked at, however long they last."""


@dataclass(frozen=True, slots=True)
class Funds:
    """Money of a pod in base units: what its channel holds, owes, and must keep for the grace period."""

    left: int
    accrued: int
    reserve: int

    @property
    def spendable(self) -> int:
        """What is there to run on; negative when the reserve is being used."""
        return self.left - self.accrued - self.reserve


def peak_per_second(size: PodSize, replicas: int, idle_mib: int) -> Usage:
    """The most that a pod can use in a second with so many *replicas*, traffic apart."""
    return Usage(
        cpu_core_ms=size.cpu_milli * replicas,
        memory_mib_s=size.memory_mib * replicas,
        storage_mib_s=max(size.volume_mib + size.image_mib, idle_mib) + size.scratch_mib * replicas,
    )


def affordable(terms: Terms, size: PodSize, scaling: Scaling, idle_mib: int, claim_interval_s: int) -> int:
    """Replicas that the channel's cap pays for without end: as far as the scaler may go.

    Allowance that was saved up is not counted, for three reasons. It pays the traffic, which nobody can
    know before, and the replicas that take long to drain. A bound that rests on it would fall while
    requests are served, and those cannot be cut. And this one follows from the terms alone, so the
    publisher can compute it.

    Never below what admission asked the cap for (`least`, or one): a pod that was let in runs.
    """
    floor = max(1, scaling.min_replicas)
    for replicas in range(scaling.max_replicas, floor, -1):
        if terms.covers_peak(peak_per_second(size, replicas, idle_mib), claim_interval_s):
            return replicas
    return floor


def cap_raised(known: Terms, seen: Terms) -> bool:
    """Whether *seen* is *known* with a higher cap."""
    same = replace(seen, cap_mantissa=known.cap_mantissa, cap_exponent=known.cap_exponent) == known
    return same and seen.cap_per_day > known.cap_per_day


def reserve(storage_mib: int, grace_s: int, prices: Prices) -> int:
    """What the volumes and the image cost through the whole grace period."""
    return due(Usage(storage_mib_s=storage_mib * grace_s), prices)


def runway(funds: Funds, rate: Usage, prices: Prices) -> int | None:
    """Whole seconds until nothing is left to run on at *rate* a second; None for ever.

    `must_stop` says when that is too little.
    """
    if funds.spendable <= 0:
        return 0
    raw = sum(q * p for q, p in zip(rate.quantities, price_list(prices), strict=True))
    if raw == 0:
        return None
    return (funds.spendable << prices.scale) // (raw << 64)


def must_stop(runway_s: int | None) -> bool:
    """Nothing is left to run on but the time that stopping takes."""
    return runway_s is not None and runway_s < STOPPING_S


def must_warn(runway_s: int | None, warn_before_s: int) -> bool:
    """The end of the money is near."""
    return runway_s is not None and runway_s < warn_before_s


def may_revive(funds: Funds, one_replica: Usage, prices: Prices) -> bool:
    """A stopped pod has money again, for more than a moment."""
    seconds = runway(funds, one_replica, prices)
    return seconds is None or seconds >= REVIVE_S


def grace_over(stopped_at: UnixSeconds, unlock_at: UnixSeconds, grace_s: int, now: UnixSeconds) -> bool:
    """A stopped pod's volumes go when the grace ends, or when the publisher's unlock is about to."""
    if unlock_at and now >= unlock_at - CLOSING_MARGIN_S:
        return True
    return now >= stopped_at + grace_s


def next_check(runway_s: int | None, now: UnixSeconds) -> UnixSeconds:
    """When to look at the money again: the nearer the end, the sooner."""
    if runway_s is None:
        return UnixSeconds(now + MAX_CHECK_S)
    return UnixSeconds(now + max(1, min(MAX_CHECK_S, runway_s // 4)))
