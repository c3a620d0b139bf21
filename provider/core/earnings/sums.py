# SPDX-License-Identifier: Apache-2.0
"""Payments and fees put together by day, month, pod or publisher. Sums are exact, whatever is put together.

A payment belongs to the UTC day in which the paid period ended, a fee to the day of its block.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from trustedpods.protocol.ids import Address, ChannelId, host_label
from trustedpods.protocol.units import UnixSeconds

DAY_S = 86_400

UNKNOWN = "unknown"
"""Stands for the publisher of a pod whose record is gone."""


class GroupedBy(StrEnum):
    """What one row of earnings stands for."""

    DAY = "day"
    MONTH = "month"
    POD = "pod"
    PUBLISHER = "publisher"


@dataclass(frozen=True, slots=True)
class Earned:
    """What the chain paid for *items* periods of a channel that ended at *at*, in base units.

    *life* names the life of the pod that brought it, as the books name it.
    """

    at: UnixSeconds
    channel: ChannelId
    publisher: Address | None
    paid: int
    items: int = 1
    life: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a transaction of the operator's key cost, in wei."""

    at: UnixSeconds
    wei: int


@dataclass(frozen=True, slots=True)
class EarnedRow:
    """A row: *key* is a day (2026-11-29), a month (2026-11), a pod's label or a publisher's address.

    *wei* is None where gas belongs to no row, as one claim is for many pods.
    """

    key: str
    paid: int
    items: int
    wei: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """From the first second on, up to the second one, which no longer counts; None has no bound."""

    since: UnixSeconds | None = None
    until: UnixSeconds | None = None

    def has(self, at: UnixSeconds) -> bool:
        """Whether that time counts."""
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)

    @property
    def whole_days(self) -> Self:
        """The same, begun and ended at midnight UTC: what is kept by day can be told by it."""
        since = None if self.since is None else UnixSeconds(self.since // DAY_S * DAY_S)
        until = None if self.until is None else UnixSeconds(-(-self.until // DAY_S) * DAY_S)
        return replace(self, since=since, until=until)


def rows_of(
    payments: Iterable[Earned], fees: Iterable[Spent], by: GroupedBy, span: Span
) -> tuple[EarnedRow, ...]:
    """The rows in order: days and months as they came, pods and publishers by what they brought."""
    paid: dict[str, int] = {}
    items: dict[str, int] = {}
    for one in payments:
        if span.has(one.at):
            key = _key(one, by)
            paid[key] = paid.get(key, 0) + one.paid
            items[key] = items.get(key, 0) + one.items
    if by in (GroupedBy.POD, GroupedBy.PUBLISHER):
        rows = (EarnedRow(key, paid[key], items[key], None) for key in paid)
        return tuple(sorted(rows, key=lambda row: (-row.paid, row.key)))
    wei: dict[str, int] = {}
    for fee in fees:
        if span.has(fee.at):
            key = _date(fee.at, by)
            wei[key] = wei.get(key, 0) + fee.wei
    return tuple(
        EarnedRow(key, paid.get(key, 0), items.get(key, 0), wei.get(key, 0)) for key in sorted({*paid, *wei})
    )


def by_day(payments: Iterable[Earned]) -> tuple[Earned, ...]:
    """The same money in fewer records: one for each day, channel and life, at that day's first second."""
    found: dict[tuple[int, ChannelId, str], Earned] = {}
    for one in payments:
        day = UnixSeconds(one.at // DAY_S * DAY_S)
        key = (day, one.channel, one.life)
        known = found.get(key, Earned(day, one.channel, one.publisher, 0, 0, one.life))
        found[key] = replace(
            known,
            publisher=known.publisher or one.publisher,
            paid=known.paid + one.paid,
            items=known.items + one.items,
        )
    return tuple(found[key] for key in sorted(found))


def _key(one: Earned, by: GroupedBy) -> str:
    if by is GroupedBy.POD:
        return host_label(one.channel)
    if by is GroupedBy.PUBLISHER:
        return one.publisher or UNKNOWN
    return _date(one.at, by)


def _date(at: UnixSeconds, by: GroupedBy) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m" if by is GroupedBy.MONTH else "%Y-%m-%d")
