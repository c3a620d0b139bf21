# SPDX-License-Identifier: Apache-2.0
"""Prices as people think of them, what others in the market ask, and what a price would earn. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from fractions import Fraction

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.contracts.terms import price_list, prices_of
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.provider import Prices, TrustClass
from trustedpods.protocol.units import KIB, Resources, UnixSeconds

FRESH_S = 3 * 86_400
"""Clients leave out a row that nobody touched for three days, so its prices compete with nobody's."""

USES_PERCENT = (10, 50, 90)
"""A provider that begins, one that is known, and one that is full."""

HOURS_A_MONTH = 720
_HOUR_S = 3600
_CORE_HOUR_MS = 1000 * _HOUR_S
_GIB_HOUR_MIB_S = KIB * _HOUR_S
_GIB_KIB = KIB * KIB
_UNITS = (_CORE_HOUR_MS, _GIB_HOUR_MIB_S, _GIB_HOUR_MIB_S, _GIB_KIB, _GIB_KIB)
"""Metered units of one unit of `ListedPrices`, in their order."""

_STORED_PART = Fraction(1, 50)
_EGRESS_PART = Fraction(1, 10)
"""Without others to compare with: a stored GiB-hour is a fiftieth of one in memory, a GiB out of a pod a
tenth of a core-hour, and what comes in is free. A localnet's prices are built so, too."""


@dataclass(frozen=True, slots=True)
class ListedPrices:
    """Base units of the token, exact: per core-hour, GiB-hour, stored GiB-hour, GiB out, GiB in."""

    core_hour: Fraction
    gib_hour: Fraction
    stored_gib_hour: Fraction
    egress_gib: Fraction
    ingress_gib: Fraction


@dataclass(frozen=True, slots=True)
class Quartiles:
    """The lower, the middle and the upper one, each a value that somebody asks."""

    low: Fraction
    middle: Fraction
    high: Fraction


@dataclass(frozen=True, slots=True)
class MarketPrices:
    """What so many comparable *rows* ask, each kind of price by itself, in the order of `ListedPrices`."""

    rows: int
    core_hour: Quartiles
    gib_hour: Quartiles
    stored_gib_hour: Quartiles
    egress_gib: Quartiles
    ingress_gib: Quartiles


@dataclass(frozen=True, slots=True)
class Earning:
    """Base units in a month of 30 days with so many percent of CPU and memory sold."""

    percent: int
    month: int


def listed_prices(prices: Prices) -> ListedPrices:
    """What a row's mantissas mean."""
    word = Fraction(1 << 64, 1 << prices.scale)
    return ListedPrices(
        *(price * word * units for price, units in zip(price_list(prices), _UNITS, strict=True))
    )


def mantissas(listed: ListedPrices) -> Prices:
    """The other way, as near as a row can say it; `BadInput` where a price does not fit the contract."""
    return prices_of([value / units for value, units in zip(astuple(listed), _UNITS, strict=True)])


def comparable(
    rows: Iterable[RegistryRow], *, owner: Address, token: Address, trust: TrustClass, now: UnixSeconds
) -> list[RegistryRow]:
    """Rows of others in the same token and class that clients still look at."""
    return [
        row
        for row in rows
        if (row.token, row.trust) == (token, trust) and row.owner != owner and row.updated_at + FRESH_S >= now
    ]


def asked(rows: Sequence[RegistryRow]) -> MarketPrices | None:
    """What these rows ask; None where there is none."""
    if not rows:
        return None
    all_prices = [listed_prices(row.prices) for row in rows]
    names = [field.name for field in fields(ListedPrices)]
    return MarketPrices(
        len(rows), *(quartiles([getattr(prices, name) for prices in all_prices]) for name in names)
    )


def quartiles(values: Sequence[Fraction]) -> Quartiles:
    """By nearest rank: none of the three is an average that nobody asks."""
    ordered = sorted(values)
    return Quartiles(*(ordered[-(-len(ordered) * part // 4) - 1] for part in (1, 2, 3)))


def whole(
    core_hour: Fraction,
    gib_hour: Fraction,
    market: MarketPrices | None,
    *,
    stored_gib_hour: Fraction | None = None,
    egress_gib: Fraction | None = None,
    ingress_gib: Fraction | None = None,
) -> ListedPrices:
    """All five prices: what is not given is the market's middle one, or follows from the first two."""

    def filled(given: Fraction | None, of_market: Quartiles | None, without: Fraction) -> Fraction:
        if given is not None:
            return given
        return without if of_market is None else of_market.middle

    return ListedPrices(
        core_hour,
        gib_hour,
        filled(stored_gib_hour, None if market is None else market.stored_gib_hour, gib_hour * _STORED_PART),
        filled(egress_gib, None if market is None else market.egress_gib, core_hour * _EGRESS_PART),
        filled(ingress_gib, None if market is None else market.ingress_gib, Fraction(0)),
    )


def earnings(listed: ListedPrices, offered: Resources) -> list[Earning]:
    """What the cluster's CPU and memory would earn at each use, volumes and traffic left out."""
    full = listed.core_hour * Fraction(offered.cpu_milli, 1000)
    full += listed.gib_hour * Fraction(offered.memory_mib, KIB)
    return [Earning(percent, int(full * HOURS_A_MONTH * Fraction(percent, 100))) for percent in USES_PERCENT]


def tokens_text(units: Fraction | int, decimals: int, digits: int = 4) -> str:
    """An amount of tokens with so many significant digits, and never an exponent: "2.5", "0.00004167"."""
    value = Fraction(units) / 10**decimals
    places = 0
    while value and value * 10**places < 10 ** (digits - 1) and places < decimals:
        places += 1
    text = f"{round(value * 10**places):0{places + 1}d}"
    if not places:
        return f"{int(text):,}"
    return f"{text[:-places]}.{text[-places:]}".rstrip("0").rstrip(".")
