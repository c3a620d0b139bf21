# SPDX-License-Identifier: Apache-2.0
"""What a pod costs at given prices: an hour awake, an hour asleep, a day at its largest."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from trustedpods.contracts.terms import CAP_CLAIM_INTERVAL_S, MAX_DEPOSIT, Terms, due, encode_cap, least_cap
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.stored_size import whole_mib
from trustedpods.protocol.messages.provider import LeastTerms, Prices
from trustedpods.protocol.units import TokenUnits, Usage
from trustedpods.publisher.core.money import DAY_S, HOUR_S, Funding, Token

if TYPE_CHECKING:
    from trustedpods.manifests.spec.pod import PodManifest

DEFAULT_FUNDING_S = HOUR_S
"""What is paid in when nobody said how much: an hour at full size, or the provider's least."""

TRAFFIC_KIB_S = 1280
"""Traffic each way that the cap allows for, per replica: 10 Mbit/s all day. What is above in a day
is not paid, and a provider may stop serving there."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of a pod as far as money goes: one replica, how many, what it stores (MiB).

    `scratch_mib` is each replica's `ephemeral-storage`. `min_replicas` run all the time.
    """

    cpu_milli: int
    memory_mib: int
    storage_mib: int
    scratch_mib: int
    max_replicas: int
    min_replicas: int = 0

    def awake(self, seconds: int, replicas: int, idle_mib: int = 0) -> Usage:
        """Usage of *seconds* with *replicas* running, without traffic."""
        return Usage(
            cpu_core_ms=self.cpu_milli * replicas * seconds,
            memory_mib_s=self.memory_mib * replicas * seconds,
            storage_mib_s=(max(self.storage_mib, idle_mib) + self.scratch_mib * replicas) * seconds,
        )

    def stored_only(self, mib: int) -> "Shape":
        """Of a deleted pod of which *mib* MiB are kept; never more than it stored before."""
        return Shape(0, 0, min(mib, self.storage_mib), 0, self.max_replicas)

    def least_second(self, idle_mib: int) -> Usage:
        """What the pod uses in a second with as few replicas as it ever runs with, one at least."""
        return self.awake(1, max(1, self.min_replicas), idle_mib)

    def peak_second(self, idle_mib: int, traffic_kib: int = TRAFFIC_KIB_S) -> Usage:
        """The most that the pod may use in a second, with *traffic_kib* each way a replica."""
        traffic = traffic_kib * self.max_replicas
        return self.awake(1, self.max_replicas, idle_mib) + Usage(egress_kib=traffic, ingress_kib=traffic)


@dataclass(frozen=True, slots=True)
class Cost:
    """Base units of the token; each rounded down once, as the contract does.

    `peak` is without traffic. `least_cap` is the cap a day below which a provider would refuse: it pays
    for the replicas that always run, or for one. `full_cap` lets all of them through, with traffic.
    """

    awake_hour: TokenUnits
    asleep_hour: TokenUnits
    peak_hour: TokenUnits
    peak_day: TokenUnits
    least_cap: TokenUnits
    full_cap: TokenUnits
    least_deposit: TokenUnits

    def fits(self, max_cost_per_day: TokenUnits) -> bool:
        """Can a cap of at most *max_cost_per_day* be high enough for a provider?"""
        mantissa, exponent = encode_cap(max_cost_per_day, up=False)
        return mantissa << exponent in range(self.least_cap, max_cost_per_day + 1)

    @property
    def absurd(self) -> bool:
        """Prices that no channel can pay for a day: whoever lists them does not sell."""
        return max(self.full_cap, self.least_deposit) > MAX_DEPOSIT

    def needed(self, funding: Funding | None, token: Token, reserve_s: int = 0) -> int:
        """Base units to pay in: an amount as it is; a duration at full size, rounded up.

        *reserve_s* seconds asleep come on top of a duration: a provider keeps back what storing
        the volumes costs in the grace period. Without *funding*: `DEFAULT_FUNDING_S` of it, or
        the provider's least deposit if that is more.
        """
        if funding is not None and funding.amount is not None:
            return token.units(funding.amount, "deposit")
        seconds = DEFAULT_FUNDING_S if funding is None or funding.seconds is None else funding.seconds
        needed = _part(self.peak_hour, seconds) + _part(self.asleep_hour, reserve_s)
        return max(needed, self.least_deposit) if funding is None else needed

    def deposit(self, funding: Funding | None, token: Token, reserve_s: int = 0) -> TokenUnits:
        """The same; `BadInput` when no channel holds so much."""
        units = self.needed(funding, token, reserve_s)
        if units > MAX_DEPOSIT:
            raise BadInput(f"{token.text(units)} is more than a channel holds", where="deposit")
        return TokenUnits(max(units, 1))


def shape_of(manifest: "PodManifest", image_bytes: int) -> Shape:
    """The shape of *manifest* with images that take *image_bytes* in all, packed and unpacked."""
    size = manifest.replica_size
    return Shape(
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        storage_mib=manifest.volume_mib + whole_mib(image_bytes),
        scratch_mib=size.storage_mib,
        max_replicas=manifest.spec.scale.max,
        min_replicas=manifest.spec.scale.min,
    )


def cost_of(shape: Shape, prices: Prices, least: LeastTerms) -> Cost:
    """What *shape* costs at *prices*; asleep, at least `idle_mib` are billed."""
    idle = least.idle_mib
    return Cost(
        awake_hour=due(shape.awake(HOUR_S, 1, idle), prices),
        asleep_hour=due(shape.awake(HOUR_S, 0, idle), prices),
        peak_hour=due(shape.awake(HOUR_S, shape.max_replicas, idle), prices),
        peak_day=due(shape.awake(DAY_S, shape.max_replicas, idle), prices),
        least_cap=least_cap(prices, shape.least_second(idle), CAP_CLAIM_INTERVAL_S),
        full_cap=least_cap(prices, shape.peak_second(idle), CAP_CLAIM_INTERVAL_S),
        least_deposit=TokenUnits(least.deposit),
    )


def warm_hour(shape: Shape, prices: Prices, least: LeastTerms) -> TokenUnits:
    """The most that an hour costs in which one replica is frozen: all of its memory, and no CPU."""
    return due(replace(shape.awake(HOUR_S, 1, least.idle_mib), cpu_core_ms=0), prices)


def terms_of(shape: Shape, prices: Prices, least: LeastTerms, max_cost_per_day: TokenUnits | None) -> Terms:
    """The terms to open a channel with.

    The cap lets the pod's peak through, with traffic, unless *max_cost_per_day* is lower; that
    must be at least `Cost.least_cap`. The provider then runs as many replicas as the cap pays for.
    """
    terms = Terms.for_peak(
        prices,
        shape.peak_second(least.idle_mib),
        unlock_s=least.unlock_s,
        claim_interval_s=CAP_CLAIM_INTERVAL_S,
    )
    if max_cost_per_day is None or terms.cap_per_day <= max_cost_per_day:
        return terms
    return Terms.with_cap(prices, max_cost_per_day, least.unlock_s)


def raised_terms(
    shape: Shape, known: Terms, least: LeastTerms, max_cost_per_day: TokenUnits | None
) -> Terms | None:
    """A channel's terms with the cap that it would be opened with now, if that is higher.

    Its prices and its notice are those that were agreed on.
    """
    wanted = terms_of(shape, known.prices, least, max_cost_per_day)
    if wanted.cap_per_day <= known.cap_per_day:
        return None
    return replace(known, cap_mantissa=wanted.cap_mantissa, cap_exponent=wanted.cap_exponent)


def replicas_within(shape: Shape, terms: Terms, idle_mib: int) -> int:
    """Replicas that the cap of *terms* lets run at once, however often the provider claims."""
    floor = max(1, shape.min_replicas)
    for replicas in range(shape.max_replicas, floor, -1):
        if terms.covers_peak(shape.awake(1, replicas, idle_mib), CAP_CLAIM_INTERVAL_S):
            return replicas
    return floor


def stored_day(mib: int, prices: Prices) -> TokenUnits:
    """What *mib* MiB cost in a day where nothing else is kept."""
    return due(Usage(storage_mib_s=mib * DAY_S), prices)


def stored_hour(mib: int, prices: Prices) -> TokenUnits:
    """The same of an hour."""
    return due(Usage(storage_mib_s=mib * HOUR_S), prices)


def stored_seconds(mib: int, left: int, grace_s: int, prices: Prices) -> int | None:
    """Seconds for which *left* base units keep *mib* MiB and the grace period after them; None: for ever."""
    a_second = mib * prices.storage_mib_s
    return None if a_second == 0 else max(0, (left << prices.scale) // (a_second << 64) - grace_s)


def _part(hour: int, seconds: int) -> int:
    """The share of *hour* that *seconds* are, rounded up, and never nothing for something."""
    return -(-(hour + 1) * seconds // HOUR_S) if seconds else 0
