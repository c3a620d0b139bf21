# SPDX-License-Identifier: Apache-2.0
"""The append-only ledger: runs, holdings and traffic; what a claim was made of stays for ever."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Row, Select, Table, delete, func, or_, select, update

from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.metering import Ceiling, Holding, Ledger, Run, TrafficTotal
from trustedpods.provider.core.traffic import Traffic, TrafficMark
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import Larger, asked_pairs, insert
from trustedpods.provider.store.tables import CEILINGS, COUNTERS, HOLDINGS, MARKS, RUNS, TRAFFIC

MAX_VALUES = 500
"""Values in one condition."""


def record_run(tx: Tx, channel: ChannelId, namespace: str, run: Run) -> None:
    """Note that a pod runs, or when it ended; a recorded end is never moved."""
    values = {
        "uid": run.uid,
        "channel": channel_hex(channel),
        "namespace": namespace,
        "started": run.started,
        "ended": run.ended,
        "cpu_milli": run.cpu_milli,
        "memory_mib": run.memory_mib,
        "scratch_mib": run.scratch_mib,
    }
    statement = insert(tx.connection, RUNS).values(values).on_conflict_do_nothing(index_elements=["uid"])
    tx.connection.execute(statement)
    if run.ended is not None:
        tx.connection.execute(
            update(RUNS).where(RUNS.c.uid == run.uid, RUNS.c.ended.is_(None)).values(ended=run.ended)
        )


def open_runs(tx: Tx) -> dict[str, str]:
    """Namespace of every run without an end, by the pod's uid."""
    rows = tx.connection.execute(select(RUNS.c.uid, RUNS.c.namespace).where(RUNS.c.ended.is_(None)))
    return {row.uid: row.namespace for row in rows}


def end_runs(tx: Tx, uids: list[str], at: UnixSeconds) -> None:
    """End runs of pods of which nobody said when they ended; those that never ran, or have ended, stay so."""
    lost = update(RUNS).where(RUNS.c.uid.in_(uids), RUNS.c.ended.is_(None))
    tx.connection.execute(lost.values(ended=Larger(RUNS.c.started, at)))


def cut_off(tx: Tx, channel: ChannelId, at: UnixSeconds) -> None:
    """Nothing of the channel counts after *at*: open runs and holdings end there, its slot is forgotten.

    What began later never counted.
    """
    key = channel_hex(channel)
    for table in (RUNS, HOLDINGS):
        open_ones = update(table).where(table.c.channel == key, table.c.ended.is_(None))
        tx.connection.execute(open_ones.values(ended=Larger(table.c.started, at)))
    drop_mark(tx, channel)


def hold(
    tx: Tx, channel: ChannelId, sizes: dict[str, int], at: UnixSeconds, ceiling: Ceiling | None = None
) -> None:
    """From *at* on the pod holds so many MiB of each kind; unchanged kinds go on as they were.

    With a *ceiling* what its replicas may cost is bounded too: both or neither are stored.
    """
    key = channel_hex(channel)
    if ceiling is not None:
        _bound(tx, key, ceiling)
    rows = tx.connection.execute(
        select(HOLDINGS).where(HOLDINGS.c.channel == key, HOLDINGS.c.ended.is_(None))
    ).all()
    current = {row.kind: row.mib for row in rows}
    for row in rows:
        if sizes.get(row.kind, 0) != row.mib:
            tx.connection.execute(update(HOLDINGS).where(HOLDINGS.c.id == row.id).values(ended=at))
    for kind, mib in sizes.items():
        if mib and current.get(kind) != mib:
            tx.connection.execute(
                insert(tx.connection, HOLDINGS).values(
                    channel=key, kind=kind, mib=mib, started=at, ended=None
                )
            )


def _bound(tx: Tx, key: str, ceiling: Ceiling) -> None:
    """An unchanged bound goes on."""
    newest = select(CEILINGS).where(CEILINGS.c.channel == key).order_by(CEILINGS.c.since.desc()).limit(1)
    last = tx.connection.execute(newest).one_or_none()
    names = ("cpu_milli", "memory_mib", "scratch_mib")
    sizes = {name: getattr(ceiling, name) for name in names}
    if last is not None and sizes == {name: getattr(last, name) for name in names}:
        return
    since = ceiling.since if last is None else max(ceiling.since, last.since)
    statement = insert(tx.connection, CEILINGS).values(channel=key, since=since, **sizes)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=["channel", "since"], set_=sizes))


def set_mark(tx: Tx, channel: ChannelId, mark: TrafficMark) -> None:
    """Up to here the channel's traffic has been counted."""
    values = {
        "channel": channel_hex(channel),
        "boot": mark.boot,
        "total": mark.total,
        "bytes_in": mark.bytes_in,
        "bytes_out": mark.bytes_out,
    }
    statement = insert(tx.connection, MARKS).values(values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=["channel"], set_=values))


def load_mark(tx: Tx, channel: ChannelId) -> TrafficMark | None:
    """Up to where a channel's traffic has been counted; None before it was first published."""
    return load_marks(tx, [channel]).get(channel)


def load_marks(tx: Tx, channels: Iterable[ChannelId]) -> dict[ChannelId, TrafficMark]:
    """The same of each channel that has one."""
    asked = {"asked": json.dumps([[channel_hex(channel)] for channel in channels])}
    return {
        ChannelId(int(row.channel, 16)): TrafficMark(row.boot, row.total, row.bytes_in, row.bytes_out)
        for row in tx.connection.execute(_MARKS_OF, asked)
    }


def set_marks(tx: Tx, marks: Mapping[ChannelId, TrafficMark]) -> None:
    """`set_mark` for many, all or none."""
    for channel, mark in marks.items():
        set_mark(tx, channel, mark)


def drop_mark(tx: Tx, channel: ChannelId) -> None:
    """The pod left its slot."""
    tx.connection.execute(delete(MARKS).where(MARKS.c.channel == channel_hex(channel)))


def record_traffic(tx: Tx, channel: ChannelId, passed: Traffic, mark: TrafficMark, at: UnixSeconds) -> None:
    """Add what passed up to *mark*: both or neither are stored."""
    set_mark(tx, channel, mark)
    if passed.bytes_out or passed.bytes_in:
        _add_traffic(tx, channel_hex(channel), passed.bytes_out, passed.bytes_in, at)


def add_traffic(tx: Tx, channel: ChannelId, passed: Traffic, at: UnixSeconds) -> None:
    """Add what passed outside of slots: nobody counts it a second time."""
    if passed.bytes_out or passed.bytes_in:
        _add_traffic(tx, channel_hex(channel), passed.bytes_out, passed.bytes_in, at)


def record_counters(tx: Tx, totals: dict[str, tuple[int, int]], at: UnixSeconds) -> None:
    """Book what each replica sent and received past the facade since it was booked last.

    *totals* are (egress, ingress) bytes by the replica's uid, since it began. Of a replica that was
    never billed nothing is booked; totals that fell book nothing.
    """
    channels = {row.uid: row.channel for row in _rows_of(tx, RUNS, totals)}
    booked = {row.uid: (row.egress_bytes, row.ingress_bytes) for row in _rows_of(tx, COUNTERS, totals)}
    for uid, key in channels.items():
        before, now = booked.get(uid, (0, 0)), totals[uid]
        egress, ingress = max(0, now[0] - before[0]), max(0, now[1] - before[1])
        if egress or ingress:
            _add_traffic(tx, key, egress, ingress, at)
            values = {
                "uid": uid,
                "egress_bytes": before[0] + egress,
                "ingress_bytes": before[1] + ingress,
            }
            statement = insert(tx.connection, COUNTERS).values(values)
            tx.connection.execute(statement.on_conflict_do_update(index_elements=["uid"], set_=values))


def _rows_of(tx: Tx, table: Table, totals: dict[str, tuple[int, int]]) -> list[Row[Any]]:
    """Rows of these replicas, asked for in pieces: SQLite takes a bounded number of values."""
    uids = list(totals)
    found: list[Row[Any]] = []
    for start in range(0, len(uids), MAX_VALUES):
        piece = select(table).where(table.c.uid.in_(uids[start : start + MAX_VALUES]))
        found += tx.connection.execute(piece).all()
    return found


def _add_traffic(tx: Tx, key: str, egress: int, ingress: int, at: UnixSeconds) -> None:
    query = select(TRAFFIC).where(TRAFFIC.c.channel == key).order_by(TRAFFIC.c.at.desc()).limit(1)
    last = tx.connection.execute(query).one_or_none()
    if last is not None:
        egress, ingress, at = egress + last.egress_total, ingress + last.ingress_total, max(at, last.at)
    values = {"channel": key, "at": at, "egress_total": egress, "ingress_total": ingress}
    statement = insert(tx.connection, TRAFFIC).values(values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=["channel", "at"], set_=values))


def load_ledger(tx: Tx, channel: ChannelId, from_: UnixSeconds) -> Ledger:
    """Everything of a channel that may touch the time from *from_* on."""
    return load_ledgers(tx, {channel: from_})[channel]


def load_ledgers(tx: Tx, wanted: Mapping[ChannelId, UnixSeconds]) -> dict[ChannelId, Ledger]:
    """The same of many channels, each from its own moment on: four queries, however many there are."""
    asked = {"asked": json.dumps([[channel_hex(channel), from_] for channel, from_ in wanted.items()])}
    runs, holdings = _by_channel(tx, _RUNS_OF, asked), _by_channel(tx, _HOLDINGS_OF, asked)
    traffic, ceilings = _by_channel(tx, _TRAFFIC_OF, asked), _by_channel(tx, _CEILINGS_OF, asked)
    return {
        channel: Ledger(
            runs=tuple(
                Run(r.uid, r.started, r.ended, r.cpu_milli, r.memory_mib, r.scratch_mib) for r in runs[key]
            ),
            holdings=tuple(Holding(h.started, h.ended, h.mib) for h in holdings[key]),
            traffic=tuple(TrafficTotal(t.at, t.egress_total, t.ingress_total) for t in traffic[key]),
            ceilings=tuple(Ceiling(c.since, c.cpu_milli, c.memory_mib, c.scratch_mib) for c in ceilings[key]),
        )
        for channel, key in ((channel, channel_hex(channel)) for channel in wanted)
    }


def _by_channel(tx: Tx, query: Select[Any], asked: Mapping[str, str]) -> defaultdict[str, list[Row[Any]]]:
    found = defaultdict[str, list[Row[Any]]](list)
    for row in tx.connection.execute(query, asked):
        found[row.channel].append(row)
    return found


_PAIRS = asked_pairs("asked")
"""One row for each channel that is asked for, with the moment from which on."""

_ASKED, _CHANNEL, _FROM = _PAIRS.rows, _PAIRS.first, _PAIRS.second_whole


def _touching(table: Table) -> Select[Any]:
    """Rows of a table of periods that do not end before the asked moment."""
    later = or_(table.c.ended.is_(None), table.c.ended > _FROM)
    return select(table).select_from(_ASKED).join(table, table.c.channel == _CHANNEL).where(later)


def _steps(table: Table, at: str) -> Select[Any]:
    """Rows from the asked moment on, and the last one before it; *at* is the column of their time."""
    earlier = table.alias()
    last = select(func.max(earlier.c[at])).where(earlier.c.channel == _CHANNEL, earlier.c[at] < _FROM)
    since = func.coalesce(last.correlate(_ASKED).scalar_subquery(), 0)
    found = select(table).select_from(_ASKED).join(table, table.c.channel == _CHANNEL)
    return found.where(table.c[at] >= since).order_by(table.c[at])


_RUNS_OF, _HOLDINGS_OF = _touching(RUNS), _touching(HOLDINGS)
_TRAFFIC_OF, _CEILINGS_OF = _steps(TRAFFIC, "at"), _steps(CEILINGS, "since")
_MARKS_OF = select(MARKS).select_from(_ASKED).join(MARKS, MARKS.c.channel == _CHANNEL)
