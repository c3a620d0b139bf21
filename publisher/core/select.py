# SPDX-License-Identifier: Apache-2.0
"""Which providers can take a pod, what each would cost, and why the others cannot.

A registry row is a claim, not a proof: this only decides whom to ask first. What the provider is
comes out when it is attested.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import MAX_DEPOSIT
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.publisher.core.cost import Cost, Shape, cost_of, shape_of
from trustedpods.publisher.core.dialling import stale_before
from trustedpods.publisher.core.money import DAY_S, Funding, Token, duration_text

if TYPE_CHECKING:
    from trustedpods.manifests.spec.pod import PodManifest

MAX_SILENCE_S = 3 * DAY_S
"""Daemons say once a day that they live; behind that a row is taken for forgotten."""

MAX_UNLOCK_S = 7 * DAY_S
"""The longest notice that is accepted: an hour is usual, and money is stuck for all of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider asked for by hand; any of its daemons when `daemon` is None."""

    owner: Address
    daemon: int | None = None

    def matches(self, row: RegistryRow) -> bool:
        """Is *row* meant?"""
        return row.owner == self.owner and self.daemon in (None, row.daemon)

    def __str__(self) -> str:
        """As `parse_choice` reads it."""
        return self.owner if self.daemon is None else f"{self.owner}/{self.daemon}"


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a pod needs of a provider.

    `trust` is a minimum: a pod of class open may run at a sealed provider too. `max_cost_per_day` and
    `funding` are the publisher's limits.
    """

    shape: Shape
    trust: TrustClass
    token_address: Address
    token: Token
    funding: Funding | None = None
    max_cost_per_day: TokenUnits | None = None
    choice: Choice | None = None


def requirements_of(
    manifest: "PodManifest",
    image_bytes: int,
    token_address: Address,
    token: Token,
    funding: Funding | None = None,
    choice: Choice | None = None,
) -> Requirements:
    """What *manifest* with images of *image_bytes* needs; *funding* goes before the manifest's own deposit.

    Raises `BadInput` for a limit that the token cannot express.
    """
    spec = manifest.spec
    limit = spec.payment.max_cost_per_day
    units = None if limit is None else token.units(limit, "payment.maxCostPerDay")
    if funding is None and spec.payment.deposit is not None:
        funding = Funding(amount=spec.payment.deposit)
    return Requirements(
        shape=shape_of(manifest, image_bytes),
        trust=spec.trust,
        token_address=token_address,
        token=token,
        funding=funding,
        max_cost_per_day=None if units is None else TokenUnits(min(units, MAX_DEPOSIT)),
        choice=choice,
    )


@dataclass(frozen=True, slots=True)
class Offer:
    """A provider that may take the pod, and at what cost."""

    row: RegistryRow
    cost: Cost


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A provider that cannot take the pod; `reason` is for people."""

    row: RegistryRow
    reason: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Offers, cheapest first, and the rest with reasons."""

    offers: tuple[Offer, ...]
    left_out: tuple[LeftOut, ...]


def parse_choice(text: str) -> Choice:
    """`OWNER` or `OWNER/N`, as `provider list` prints them."""
    owner, separator, number = text.partition("/")
    if separator and not (number.isascii() and number.isdecimal() and int(number) < 1 << 32):
        raise BadInput(f"not a daemon number: {number!r}", where="--provider", hint="write OWNER or OWNER/N")
    return Choice(parse_address(owner), int(number) if separator else None)


def select(requirements: Requirements, rows: Iterable[RegistryRow]) -> Selection:
    """Filter and rank *rows*: by the price of an hour awake, then asleep; sealed before open; by address."""
    offers: list[Offer] = []
    left_out: list[LeftOut] = []
    rows = list(rows)
    stale = stale_before([row.updated_at for row in rows], MAX_SILENCE_S)
    for row in rows:
        cost = cost_of(requirements.shape, row.prices, row.least)
        reason = _silence(requirements, row, stale) or _obstacle(requirements, row, cost)
        if reason is None:
            offers.append(Offer(row, cost))
        else:
            left_out.append(LeftOut(row, reason))
    offers.sort(key=_rank)
    left_out.sort(key=lambda out: (out.row.owner, out.row.daemon))
    return Selection(tuple(offers), tuple(left_out))


def _rank(offer: Offer) -> tuple[int, int, bool, str, int]:
    row, cost = offer.row, offer.cost
    return cost.awake_hour, cost.asleep_hour, row.trust == "open", row.owner, row.daemon


def _silence(requirements: Requirements, row: RegistryRow, before: UnixSeconds) -> str | None:
    """Who is asked for by name is asked, whatever its row says."""
    if requirements.choice is None and row.updated_at < before:
        return f"its row had no heartbeat for {duration_text(MAX_SILENCE_S)} (--provider asks it still)"
    return None


def _obstacle(requirements: Requirements, row: RegistryRow, cost: Cost) -> str | None:
    """Why *row* is out of the question; the first reason is enough."""
    if requirements.choice is not None and not requirements.choice.matches(row):
        return f"not the provider asked for ({requirements.choice})"
    if requirements.trust == "sealed" and row.trust != "sealed":
        return "class open: its operator could read the pod (--trust open allows it)"
    if row.token != requirements.token_address:
        return f"takes another token ({row.token})"
    if not row.endpoint:
        return "its registry row has no address to dial"
    return _money_obstacle(requirements, row, cost)


def _money_obstacle(requirements: Requirements, row: RegistryRow, cost: Cost) -> str | None:
    token, funding, limit = requirements.token, requirements.funding, requirements.max_cost_per_day
    if cost.absurd:
        return "its prices are beyond what any channel can pay"
    if funding is not None:
        deposit, least = cost.needed(funding, token), row.least.deposit
        if deposit < least:
            return f"asks for a deposit of {token.text(least)}, and {token.text(deposit)} was given"
        if deposit > MAX_DEPOSIT:
            return f"a deposit of {token.text(deposit)} is more than a channel holds"
    if limit is not None and not cost.fits(limit):
        return (
            f"its fewest replicas cost {token.rough(cost.least_cap)} a day there, and maxCostPerDay is "
            f"{token.text(limit)}: raise it, or lower scale.min"
        )
    if row.least.unlock_s > MAX_UNLOCK_S:
        return f"would keep a deposit for {duration_text(row.least.unlock_s)} after notice"
    return None
