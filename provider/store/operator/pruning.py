# SPDX-License-Identifier: Apache-2.0
"""Takes out of the books what no claim, bill or restart can ask for any more; what was earned stays, by day.

Of a pod that stands, what was counted before its last settled period goes; its claims stay, as its bill is
made of them. Of one that ended long ago its claims are put together by day, but for the newest: a channel
that comes back is compared with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from trustedpods.protocol.ids import Address, ChannelId, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.earnings.sums import DAY_S, Earned, by_day
from trustedpods.provider.core.pod import ENDED
from trustedpods.provider.store.claims import ClaimState, claimed_now
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import (
    CEILINGS,
    CLAIMS,
    COUNTERS,
    CUTS,
    EARNED,
    EVENTS,
    FREEZES,
    HOLDINGS,
    PODS,
    RUNS,
    TRAFFIC,
)

MARGIN_S = DAY_S
"""What was counted so shortly before a pod's last settled period stays: a reorganisation sets that back by
minutes, and nothing is told of a day that is half gone."""

MAX_ROWS = 5000
"""What was counted that goes in one transaction: other writes wait for it, a tenth of a second at most."""

MAX_CUTS = 500
"""Claimed periods that are put together in one transaction: each may be of another day."""

MAX_CLAIMS = 50
"""Claims that go in one transaction: the signed bytes of one may be a hundred kilobytes."""


@dataclass(frozen=True, slots=True)
class _Old:
    """Rows that can go: *which* of the table of *key*, that names each of them; in an *order* of an index."""

    key: Column[Any]
    which: tuple[ColumnElement[bool], ...]
    order: tuple[Column[Any], ...]


_OVER = [str(ClaimState.FINAL), str(ClaimState.LOST)]
_ENDED = [str(phase) for phase in ENDED]


@dataclass(frozen=True, slots=True)
class Pruned:
    """Rows that went: what was counted, and claimed periods. `more`: there was no turn for all of them."""

    counted: int
    periods: int
    more: bool


def channels_after(tx: Tx, last: str, most: int) -> list[str]:
    """The next channels of pods behind *last*, in order; to be handed to `prune` together.

    Without those of ended pods of which nothing is left to take out: there are ever more of them.
    """
    left = [
        select(table.c.channel).where(table.c.channel == PODS.c.channel).exists()
        for table in (HOLDINGS, RUNS, EVENTS)
    ]
    query = (
        select(PODS.c.channel)
        .where(PODS.c.channel > last, or_(PODS.c.phase.not_in(_ENDED), *left))
        .order_by(PODS.c.channel)
        .limit(most)
    )
    return list(tx.connection.execute(query).scalars())


def prune(
    tx: Tx, channels: Sequence[str], before: UnixSeconds, rows: int = MAX_ROWS, cuts: int = MAX_CUTS
) -> Pruned:
    """Take out what is older than *before* of these *channels*. The same once more changes nothing.

    It ends after so many *rows* or *cuts*, and says so. Of an ended pod claimed periods go first, so that it
    is met again when there was no turn for all of them. One with a claim under way counts as standing.
    """
    counted, periods, under_way = 0, 0, {channel_hex(one) for one in claimed_now(tx)}
    query = select(PODS.c.channel, PODS.c.phase, PODS.c.changed_at, PODS.c.chain_up_to, PODS.c.publisher)
    for pod in tx.connection.execute(query.where(PODS.c.channel.in_(channels))).all():
        ended = pod.phase in _ENDED and pod.changed_at < before and pod.channel not in under_way
        if ended:
            periods += _put_together(tx.connection, pod, before, cuts - periods)
            if periods >= cuts:
                return Pruned(counted, periods, more=True)
        settled = before if ended else min(before, (pod.chain_up_to or 0) - MARGIN_S)
        for old in _old_rows(pod.channel, settled, ended=ended):
            counted += _take(tx.connection, old, rows - counted)
            if counted >= rows:
                return Pruned(counted, periods, more=True)
    return Pruned(counted, periods, more=False)


def old_claims(tx: Tx, before: UnixSeconds) -> list[bytes]:
    """Roots of claims that are over, and were made before then, of which anything can go."""
    anything = or_(func.length(CLAIMS.c.signed) > 0, and_(*_unused()))
    query = select(CLAIMS.c.root).where(CLAIMS.c.created < before, CLAIMS.c.state.in_(_OVER), anything)
    return list(tx.connection.execute(query).scalars())


def prune_claims(tx: Tx, roots: Sequence[bytes]) -> int:
    """Take out those claims of which no period is left, and the signed bytes of others.

    Returns how many went. One that is not over is not touched. The newest of all stays: the next claim names
    its root, and its number.
    """
    mine = (CLAIMS.c.root.in_(roots), CLAIMS.c.state.in_(_OVER))
    tx.connection.execute(update(CLAIMS).where(*mine, func.length(CLAIMS.c.signed) > 0).values(signed=b""))
    return tx.connection.execute(delete(CLAIMS).where(*mine, and_(*_unused()))).rowcount


def _unused() -> tuple[ColumnElement[bool], ...]:
    """Claims of which no period is left; the newest of all is none."""
    newest = select(func.max(CLAIMS.c.number)).scalar_subquery()
    return ~exists().where(CUTS.c.root == CLAIMS.c.root), CLAIMS.c.number < newest


def _old_rows(channel: str, settled: int, *, ended: bool) -> Iterator[_Old]:
    """Runs and holdings that ended by *settled*, and steps that a later one replaced by then.

    The last step before it holds on, so it stays. Of an *ended* pod what was told of it goes too.
    """
    for table, key in ((RUNS, RUNS.c.uid), (HOLDINGS, HOLDINGS.c.id)):
        yield _Old(key, (table.c.channel == channel, table.c.ended <= settled), (table.c.ended, key))
    for table, at in ((TRAFFIC, TRAFFIC.c.at), (CEILINGS, CEILINGS.c.since)):
        last = select(func.max(at)).where(table.c.channel == channel, at < settled).scalar_subquery()
        yield _Old(at, (table.c.channel == channel, at < last), (at,))
    if ended:
        yield _Old(EVENTS.c.id, (EVENTS.c.channel == channel, EVENTS.c.at < settled), (EVENTS.c.id,))


def _take(connection: Connection, old: _Old, most: int) -> int:
    """The first of these rows go, at most so many; with a run what its replica is known to have sent."""
    first = select(old.key).where(*old.which).order_by(*old.order).limit(most)
    if old.key is RUNS.c.uid:
        for of_run in (COUNTERS.c.uid, FREEZES.c.uid):
            connection.execute(delete(of_run.table).where(of_run.in_(first)))
    gone = delete(old.key.table).where(*old.which, old.key.in_(first))
    return connection.execute(gone).rowcount


def _put_together(connection: Connection, pod: Row[*tuple[Any, ...]], before: int, most: int) -> int:
    """Old periods of an ended pod become what was earned on each day."""
    settled = select(func.max(CUTS.c.up_to)).where(CUTS.c.channel == pod.channel, CUTS.c.paid.is_not(None))
    query = (
        select(CUTS.c.root, CUTS.c.place, CUTS.c.up_to, CUTS.c.paid, CUTS.c.life, CLAIMS.c.state)
        .join(CLAIMS, CLAIMS.c.root == CUTS.c.root)
        .where(
            CUTS.c.channel == pod.channel,
            CUTS.c.up_to < settled.scalar_subquery(),
            CLAIMS.c.state.in_(_OVER),
            CLAIMS.c.created < before,
        )
        .limit(most)
    )
    rows = connection.execute(query).all()
    for earned in by_day(_earned(pod, rows)):
        _add_earned(connection, earned)
    if rows:
        gone = delete(CUTS).where(CUTS.c.root == bindparam("of"), CUTS.c.place == bindparam("at"))
        connection.execute(gone, [{"of": row.root, "at": row.place} for row in rows])
    return len(rows)


def _earned(pod: Row[*tuple[Any, ...]], rows: Sequence[Row[*tuple[Any, ...]]]) -> Iterator[Earned]:
    for row in rows:
        if row.state == str(ClaimState.FINAL) and row.paid not in (None, "0"):
            channel, publisher = ChannelId(int(pod.channel, 16)), Address(pod.publisher)
            yield Earned(UnixSeconds(row.up_to - 1), channel, publisher, int(row.paid), life=row.life)


def _add_earned(connection: Connection, earned: Earned) -> None:
    """Onto what is kept of that day."""
    key = {"day": earned.at, "channel": channel_hex(earned.channel), "life": earned.life}
    mine = [EARNED.c[name] == value for name, value in key.items()]
    known = connection.execute(select(EARNED).where(*mine)).one_or_none()
    paid = earned.paid + (int(known.paid) if known else 0)
    items = earned.items + (known.items if known else 0)
    values = {**key, "publisher": earned.publisher, "paid": str(paid), "items": items}
    connection.execute(delete(EARNED).where(*mine))
    connection.execute(insert(connection, EARNED).values(values))
