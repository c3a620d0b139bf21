# SPDX-License-Identifier: Apache-2.0
"""How long the provider could serve pods on each day, and how long cold starts took. Nothing is of a pod."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import SERVICE_DAYS

KEPT_DAYS = 400
"""Longer than anything is told of: a provider that was away for a month is not taken for a new one.

So many are kept, however far apart: a clock that was years ahead once makes one more, and costs none.
"""


@dataclass(frozen=True, slots=True)
class DayCount:
    """One day (Unix seconds over 86,400), counted since `began` (Unix seconds).

    `within` has how many of `cold_starts` took no longer than each bound of the metrics' histogram,
    ascending; together they took `cold_start_ms`.
    """

    day: int
    began: int
    up_s: int
    cold_starts: int
    cold_start_ms: int
    within: tuple[int, ...]


def add(tx: Tx, more: DayCount) -> None:
    """Count *more* of a day, and forget all but the last `KEPT_DAYS` that were counted."""
    found = tx.connection.execute(select(SERVICE_DAYS).where(SERVICE_DAYS.c.day == more.day)).first()
    before = None if found is None else _of(tuple(found))
    whole = more if before is None else _sum(before, more)
    tx.connection.execute(delete(SERVICE_DAYS).where(SERVICE_DAYS.c.day == more.day))
    tx.connection.execute(
        insert(tx.connection, SERVICE_DAYS).values(
            day=whole.day,
            began=whole.began,
            up_s=whole.up_s,
            cold_starts=whole.cold_starts,
            cold_start_ms=whole.cold_start_ms,
            within=" ".join(map(str, whole.within)),
        )
    )
    last = select(SERVICE_DAYS.c.day).order_by(SERVICE_DAYS.c.day.desc()).offset(KEPT_DAYS).limit(1)
    tx.connection.execute(delete(SERVICE_DAYS).where(SERVICE_DAYS.c.day <= last.scalar_subquery()))


def load(tx: Tx) -> tuple[DayCount, ...]:
    """All days, ascending."""
    rows = tx.connection.execute(select(SERVICE_DAYS).order_by(SERVICE_DAYS.c.day))
    return tuple(_of(tuple(row)) for row in rows)


def _of(row: tuple[object, ...]) -> DayCount:
    *numbers, within = row
    day, began, up_s, cold_starts, cold_start_ms = (int(str(one)) for one in numbers)
    counts = tuple(int(one) for one in str(within).split())
    return DayCount(day, began, up_s, cold_starts, cold_start_ms, counts)


def _sum(one: DayCount, other: DayCount) -> DayCount:
    """Of the same day. Counts by other bounds than today's, of an older version, are left out."""
    same = len(one.within) == len(other.within)
    within = tuple(map(sum, zip(one.within, other.within, strict=True))) if same else other.within
    return DayCount(
        one.day,
        min(one.began, other.began),
        one.up_s + other.up_s,
        one.cold_starts + other.cold_starts,
        one.cold_start_ms + other.cold_start_ms,
        within,
    )
