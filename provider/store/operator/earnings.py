# SPDX-License-Identifier: Apache-2.0
"""What the chain paid, by the books: claims one by one, and by day where they are kept no longer.

Amounts are decimal text in the database and are added up here: a sum of its own would have 64 bits.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Subquery, func, literal_column, select

from trustedpods.contracts.terms import Terms, due
from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.earnings.sums import DAY_S, Earned, Spent
from trustedpods.provider.store.claims import OPEN_STATES, ClaimState
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import CLAIMS, CUTS, EARNED, FEES, PODS

BEGINNING = UnixSeconds(0)
"""Before every claim."""

DAY: ColumnElement[int] = literal_column(str(DAY_S))
"""As a word of the query."""

NO_CHANNEL = ChannelId(0)
"""Stands for many channels together."""


@dataclass(frozen=True, slots=True)
class OutItem:
    """An item of a claim that is not final: its channel, where it ends, and what it is to bring at most."""

    root: bytes
    channel: ChannelId
    up_to: UnixSeconds
    due: int


@dataclass(frozen=True, slots=True)
class EarningsBooks:
    """All that the books say of earnings at one moment; `fees_unknown` counts final claims."""

    payments: list[Earned]
    fees: list[Spent]
    out: list[OutItem]
    fees_unknown: int


@dataclass(frozen=True, slots=True)
class FeelessClaim:
    """A final claim of which it is not known what it cost."""

    transaction: bytes


def whole(tx: Tx, since: UnixSeconds = BEGINNING, *, by_pod: bool = True) -> EarningsBooks:
    """All of it, so that a claim that becomes final is told once; payments and fees from *since* on alone.

    *since* is a midnight UTC. Not *by_pod*, payments of all pods are put together by day: with a thousand
    of them little work is left.
    """
    paid = payments(tx, since) if by_pod else _in_all(tx, since)
    return EarningsBooks(paid, fees(tx, since), out_items(tx), unknown_fees(tx))


def payments(tx: Tx, since: UnixSeconds = BEGINNING) -> list[Earned]:
    """All that was paid and is final, of periods that ended at *since* or later."""
    return [*_kept(tx, since), *_single(tx, since)]


def _kept(tx: Tx, since: UnixSeconds) -> list[Earned]:
    """What is kept by day, channel and life."""
    query = select(EARNED).where(EARNED.c.day >= since)
    return [_earned(row, row.day, row.items) for row in tx.connection.execute(query)]


def _in_all(tx: Tx, since: UnixSeconds) -> list[Earned]:
    """The same of all channels together, as payments of none of them: at most two for each day."""
    day = (_PAID.c.up_to - 1 - (_PAID.c.up_to - 1) % DAY).label("day")
    single = select(day, _PAID.c.paid, literal_column("1").label("items")).where(_PAID.c.up_to > since)
    kept = select(EARNED.c.day, EARNED.c.paid, EARNED.c["items"]).where(EARNED.c.day >= since)
    return [one for rows in (kept, single) for one in _by_day(tx, rows.subquery())]


def _by_day(tx: Tx, rows: Subquery) -> list[Earned]:
    columns = rows.c.day, func.aggregate_strings(rows.c.paid, ","), func.sum(rows.c["items"])
    return [
        Earned(UnixSeconds(day), NO_CHANNEL, None, sum(map(int, paid.split(","))), int(items))
        for day, paid, items in tx.connection.execute(select(*columns).group_by(rows.c.day))
    ]


def _single(tx: Tx, since: UnixSeconds) -> list[Earned]:
    """What claims brought that are kept whole."""
    query = (
        select(_PAID, PODS.c.publisher)
        .outerjoin(PODS, PODS.c.channel == _PAID.c.channel)
        .where(_PAID.c.up_to > since)
    )
    # A period's last second is the one before its end: what ends at midnight was earned the day before.
    return [_earned(row, UnixSeconds(row.up_to - 1), 1) for row in tx.connection.execute(query)]


def out_items(tx: Tx) -> list[OutItem]:
    """What is claimed and not final yet."""
    query = (
        select(CUTS, PODS.c.terms)
        .join(CLAIMS, CLAIMS.c.root == CUTS.c.root)
        .outerjoin(PODS, PODS.c.channel == CUTS.c.channel)
        .where(CLAIMS.c.state.in_([str(state) for state in OPEN_STATES]))
    )
    found: list[OutItem] = []
    for row in tx.connection.execute(query):
        usage = Usage(row.cpu_core_ms, row.memory_mib_s, row.storage_mib_s, row.egress_kib, row.ingress_kib)
        cost = int(row.paid) if row.paid is not None else due(usage, Terms.unpack(int(row.terms or 0)).prices)
        found.append(OutItem(row.root, _channel(row.channel), row.up_to, cost))
    return found


def save_fee(tx: Tx, transaction: bytes, at: UnixSeconds, wei: int) -> None:
    """Book what a transaction cost; the same once more changes nothing."""
    row = insert(tx.connection, FEES).values(tx=transaction, at=at, wei=str(wei))
    tx.connection.execute(row.on_conflict_do_nothing(index_elements=["tx"]))


def fees(tx: Tx, since: UnixSeconds = BEGINNING) -> list[Spent]:
    """What every transaction cost that was booked at *since* or later."""
    query = select(FEES).where(FEES.c.at >= since)
    return [Spent(row.at, int(row.wei)) for row in tx.connection.execute(query)]


def spent_since(tx: Tx, since: UnixSeconds) -> int:
    """Wei that transactions cost whose blocks are from *since* on."""
    return sum(
        int(wei) for wei in tx.connection.execute(select(FEES.c.wei).where(FEES.c.at >= since)).scalars()
    )


def has_fee(tx: Tx, transaction: bytes) -> bool:
    """Whether it is known what that transaction cost."""
    return tx.connection.execute(select(FEES.c.tx).where(FEES.c.tx == transaction)).first() is not None


def unknown_fees(tx: Tx) -> int:
    """How many final claims there are of which it is not known what they cost."""
    query = select(func.count()).select_from(_FEELESS.subquery())
    return tx.connection.execute(query).scalar() or 0


def feeless(tx: Tx, most: int) -> list[FeelessClaim]:
    """The newest of them that have a transaction, at most so many."""
    query = _FEELESS.where(CLAIMS.c.tx.is_not(None)).order_by(CLAIMS.c.number.desc()).limit(most)
    return [FeelessClaim(row.tx) for row in tx.connection.execute(query)]


_FEELESS = (
    select(CLAIMS.c.tx, CLAIMS.c.created)
    .select_from(CLAIMS.outerjoin(FEES, FEES.c.tx == CLAIMS.c.tx))
    .where(CLAIMS.c.state == str(ClaimState.FINAL), FEES.c.tx.is_(None))
)

_PAID = (
    select(CUTS.c.up_to, CUTS.c.channel, CUTS.c.paid, CUTS.c.life)
    .join(CLAIMS, CLAIMS.c.root == CUTS.c.root)
    .where(CLAIMS.c.state == str(ClaimState.FINAL), CUTS.c.paid.is_not(None), CUTS.c.paid != "0")
    .subquery()
)
"""Payments that are final, of claims that are kept whole."""


def _channel(key: str) -> ChannelId:
    return ChannelId(int(key, 16))


def _earned(row: Row[*tuple[Any, ...]], at: UnixSeconds, items: int) -> Earned:
    publisher = None if row.publisher is None else Address(row.publisher)
    return Earned(at, _channel(row.channel), publisher, int(row.paid), items, row.life)
