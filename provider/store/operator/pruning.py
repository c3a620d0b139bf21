# SPDX-License-Identifier: Apache-2.0
"""Takes out of the books what no claim, bill or restart can ask for any more; what was earned stays, by day.

Of a pod that stands, what was counted before its last settled period goes; its claims stay, as its bill is
made of them. Of one that ended long ago its claims are put together by day, but for the newest: a channel
that comes back is compared with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, or_, select, update

from trustedpods.protocol.ids import Address, ChannelId, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.earnings.sums import DAY_S, Earned, by_day
from trustedpods.provider.core.pod import ENDED
from trustedpods.provider.store.claims import ClaimState
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import (
    CEILINGS,
    CLAIMS,
    COUNTERS,
    CUTS,
    EARNED,
    EVENTS,
    HOLDINGS,
    PODS,
    RUNS,
    TRAFFIC,
)

MARGIN_S = DAY_S
"""What was counted so shortly before a pod's last settled period stays: a reorganisation sets that back by
minutes, and nothing is told of a day that is half gone."""

MAX_CUTS = 2000
"""Claimed periods that are put together in one transaction: others wait for it."""

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


def prune(tx: Tx, channels: Sequence[str], before: UnixSeconds) -> Pruned:
    """Take out what is older than *before* of these *channels*. The same once more changes nothing.

    Of an ended pod claimed periods go first, so that it is met again when there was no turn for all of them.
    """
    counted, periods = 0, 0
    for pod in tx.connection.execute(select(PODS).where(PODS.c.channel.in_(channels))).all():
        if pod.phase not in _ENDED or pod.changed_at >= before:
            settled = min(before, (pod.chain_up_to or 0) - MARGIN_S)
            counted += _prune_counted(tx.connection, pod.channel, settled)
            continue
        periods += _put_together(tx.connection, pod, before, MAX_CUTS - periods)
        if periods >= MAX_CUTS:
            return Pruned(counted, periods, more=True)
        counted += _prune_counted(tx.connection, pod.channel, before)
        tx.connection.execute(delete(EVENTS).where(EVENTS.c.channel == pod.channel, EVENTS.c.at < before))
    return Pruned(counted, periods, more=False)


def prune_claims(tx: Tx, before: UnixSeconds) -> int:
    """Take out claims of which no period is left, and the signed bytes of others; returns how many went.

    The newest stays: the next claim names its root, and its number.
    """
    old = (CLAIMS.c.state.in_(_OVER), CLAIMS.c.created < before)
    newest = select(func.max(CLAIMS.c.number)).scalar_subquery()
    held = select(CUTS.c.root)
    tx.connection.execute(update(CLAIMS).where(*old, CLAIMS.c.signed != b"").values(signed=b""))
    gone = delete(CLAIMS).where(*old, CLAIMS.c.number < newest, CLAIMS.c.root.not_in(held))
    return tx.connection.execute(gone).rowcount


def _prune_counted(connection: Connection, channel: str, settled: int) -> int:
    """Runs and holdings that ended by *settled*, and steps that a later one replaced by then."""
    ended = (RUNS.c.channel == channel, RUNS.c.ended <= settled)
    connection.execute(delete(COUNTERS).where(COUNTERS.c.uid.in_(select(RUNS.c.uid).where(*ended))))
    gone = connection.execute(delete(RUNS).where(*ended)).rowcount
    holdings = delete(HOLDINGS).where(HOLDINGS.c.channel == channel, HOLDINGS.c.ended <= settled)
    gone += connection.execute(holdings).rowcount
    return (
        gone
        + _prune_steps(connection, TRAFFIC, "at", channel, settled)
        + _prune_steps(connection, CEILINGS, "since", channel, settled)
    )


def _prune_steps(connection: Connection, table: Table, at: str, channel: str, settled: int) -> int:
    """The last step before *settled* holds on, so it stays."""
    last = connection.execute(
        select(func.max(table.c[at])).where(table.c.channel == channel, table.c[at] < settled)
    ).scalar()
    if last is None:
        return 0
    older = delete(table).where(table.c.channel == channel, table.c[at] < last)
    return connection.execute(older).rowcount


def _put_together(connection: Connection, pod: Row[Any], before: int, most: int) -> int:
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
    for row in rows:
        connection.execute(delete(CUTS).where(CUTS.c.root == row.root, CUTS.c.place == row.place))
    return len(rows)


def _earned(pod: Row[Any], rows: Sequence[Row[Any]]) -> Iterator[Earned]:
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
