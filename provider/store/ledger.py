# SPDX-License-Identifier: Apache-2.0
"""The append-only ledger: runs, holdings and traffic; what a claim was made of stays until it is pruned."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, Table, delete, func, or_, select, update

from trustedpods.protocol.ids import ChannelId, channel_hex
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.metering import (
    Ceiling,
    Freeze,
    Holding,
    Ledger,
    Run,
    TrafficTotal,
    booked,
    closed,
)
from trustedpods.provider.core.traffic import SlotStats, Traffic, TrafficMark, traffic_since
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import Larger, asked_pairs, insert
from trustedpods.provider.store.tables import CEILINGS, COUNTERS, FREEZES, HOLDINGS, MARKS, RUNS, TRAFFIC

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


def record_freeze(tx: Tx, channel: ChannelId, freeze: Freeze) -> None:
    """A replica is frozen; while an earlier freeze of it is open nothing changes."""
    mine = select(FREEZES.c.uid).where(FREEZES.c.uid == freeze.uid, FREEZES.c.ended.is_(None))
    if tx.connection.execute(mine).first() is not None:
        return
    key = {"uid": freeze.uid, "started": freeze.started}
    values = {"channel": channel_hex(channel), "ended": freeze.ended, "memory_mib": freeze.memory_mib}
    # Within the second in which it was thawed: it goes on, and what was held last counts.
    _put(tx, FREEZES, list(key), [{**key, **values}])


def measure_freezes(tx: Tx, memory_mib: Mapping[str, int]) -> None:
    """What replicas hold whose freeze is open, by uid."""
    for uid, mib in memory_mib.items():
        mine = update(FREEZES).where(FREEZES.c.uid == uid, FREEZES.c.ended.is_(None))
        tx.connection.execute(mine.values(memory_mib=mib))


def open_freezes(tx: Tx) -> list[str]:
    """The uids of replicas whose freeze has no end."""
    return list(tx.connection.execute(select(FREEZES.c.uid).where(FREEZES.c.ended.is_(None))).scalars())


def end_freezes(tx: Tx, uids: list[str], at: UnixSeconds) -> None:
    """These replicas run again, or are not known to be frozen; a recorded end is never moved."""
    for uid in uids:
        mine = update(FREEZES).where(FREEZES.c.uid == uid, FREEZES.c.ended.is_(None))
        tx.connection.execute(mine.values(ended=Larger(FREEZES.c.started, at)))


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
    tx: Tx,
    channel: ChannelId,
    sizes: dict[str, int],
    at: UnixSeconds,
    ceiling: Ceiling | None = None,
    opened: UnixSeconds | None = None,
) -> None:
    """From *at* on the pod holds so many MiB of each kind; unchanged kinds go on as they were.

    With a *ceiling* what its replicas may cost is bounded too: all or nothing is stored. Where it held
    nothing a life of the pod begins: no byte of it is booked before *opened*, where its first period begins.
    """
    key = channel_hex(channel)
    if ceiling is not None:
        _bound(tx, key, ceiling)
    rows = tx.connection.execute(
        select(HOLDINGS).where(HOLDINGS.c.channel == key, HOLDINGS.c.ended.is_(None))
    ).all()
    if not rows and opened is not None:
        close_traffic(tx, [channel], UnixSeconds(max(at, opened)))
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


def begin_traffic(tx: Tx, marks: Mapping[ChannelId, TrafficMark]) -> dict[ChannelId, TrafficMark]:
    """From *marks* on the channels' traffic counts; one that is stored stays. Returns those that hold now."""
    stored = load_marks(tx, marks)
    set_marks(tx, {channel: mark for channel, mark in marks.items() if channel not in stored})
    return {**marks, **stored}


def set_marks(tx: Tx, marks: Mapping[ChannelId, TrafficMark]) -> None:
    """Up to here each channel's traffic has been counted: all or none."""
    rows = [
        {
            "channel": channel_hex(channel),
            "boot": mark.boot,
            "total": mark.total,
            "bytes_in": mark.bytes_in,
            "bytes_out": mark.bytes_out,
        }
        for channel, mark in marks.items()
    ]
    _put(tx, MARKS, ["channel"], rows)


def drop_mark(tx: Tx, channel: ChannelId) -> None:
    """The pod left its slot."""
    tx.connection.execute(delete(MARKS).where(MARKS.c.channel == channel_hex(channel)))


def count_traffic(
    tx: Tx, readings: Mapping[ChannelId, SlotStats], at: UnixSeconds, since: UnixSeconds
) -> dict[ChannelId, TrafficMark]:
    """Book what passed since each pod's mark, and move the marks: all or nothing; returns the new marks.

    The stored mark decides, so that the same reading twice books nothing: also where nobody knows whether the
    first was stored. A pod without a mark has left its slots.
    """
    marks, passed = load_marks(tx, readings), dict[str, Traffic]()
    for channel, mark in marks.items():
        passed[channel_hex(channel)], marks[channel] = traffic_since(mark, readings[channel])
    set_marks(tx, marks)
    _add_traffic(tx, passed, at, since)
    return marks


def add_traffic(tx: Tx, channel: ChannelId, passed: Traffic, at: UnixSeconds, since: UnixSeconds) -> None:
    """Add what passed outside of slots: nobody counts it a second time."""
    _add_traffic(tx, {channel_hex(channel): passed}, at, since)


def record_counters(
    tx: Tx, totals: Mapping[str, tuple[int, int]], at: UnixSeconds, since: UnixSeconds
) -> None:
    """Book what each replica sent and received past the facade since it was booked last.

    *totals* are (egress, ingress) bytes by the replica's uid, since it began. Of a replica that was
    never billed nothing is booked; totals that fell book nothing.
    """
    booked_before = {row.uid: (row.egress_bytes, row.ingress_bytes) for row in _rows_of(tx, COUNTERS, totals)}
    passed = defaultdict[str, Traffic](Traffic)
    rows: list[dict[str, Any]] = []
    for run in _rows_of(tx, RUNS, totals):
        before, now = booked_before.get(run.uid, (0, 0)), totals[run.uid]
        egress, ingress = max(0, now[0] - before[0]), max(0, now[1] - before[1])
        if egress or ingress:
            passed[run.channel] += Traffic(bytes_in=ingress, bytes_out=egress)
            counted = {"egress_bytes": before[0] + egress, "ingress_bytes": before[1] + ingress}
            rows.append({"uid": run.uid, **counted})
    _put(tx, COUNTERS, ["uid"], rows)
    _add_traffic(tx, passed, at, since)


def forgive_traffic(tx: Tx, channel: ChannelId, up_to: UnixSeconds) -> None:
    """Whatever was booked from *up_to* on counts as passed before it, where it was paid for."""
    key = channel_hex(channel)
    last = _last_totals(tx, [key]).get(key)
    if last is None or last.at < up_to:
        return
    tx.connection.execute(delete(TRAFFIC).where(TRAFFIC.c.channel == key, TRAFFIC.c.at >= up_to))
    _put_totals(tx, {key: TrafficTotal(UnixSeconds(up_to - 1), last.egress_bytes, last.ingress_bytes)})


def close_traffic(tx: Tx, channels: Iterable[ChannelId], at: UnixSeconds) -> None:
    """From now on no byte is booked before *at*: what is claimed up to there stays as it is."""
    keys = [channel_hex(channel) for channel in channels]
    last = _last_totals(tx, keys)
    rows = {key: row for key in keys if (row := closed(last.get(key), at)) is not None}
    _put_totals(tx, rows)


def close_and_load(
    tx: Tx, wanted: Mapping[ChannelId, UnixSeconds], at: UnixSeconds
) -> dict[ChannelId, Ledger]:
    """The ledgers that a claim up to *at* at most is made of; traffic from now on is in none of them."""
    close_traffic(tx, wanted, at)
    return load_ledgers(tx, wanted)


def _rows_of(tx: Tx, table: Table, totals: Mapping[str, tuple[int, int]]) -> list[Row[Any]]:
    """Rows of these replicas, asked for in pieces: SQLite takes a bounded number of values."""
    uids = list(totals)
    found: list[Row[Any]] = []
    for start in range(0, len(uids), MAX_VALUES):
        piece = select(table).where(table.c.uid.in_(uids[start : start + MAX_VALUES]))
        found += tx.connection.execute(piece).all()
    return found


def _add_traffic(tx: Tx, passed: Mapping[str, Traffic], at: UnixSeconds, since: UnixSeconds) -> None:
    """Add to the totals of many channels, by their keys."""
    some = {key: one for key, one in passed.items() if one.bytes_out or one.bytes_in}
    last = _last_totals(tx, some)
    _put_totals(
        tx, {key: booked(last.get(key), one.bytes_out, one.bytes_in, at, since) for key, one in some.items()}
    )


def _last_totals(tx: Tx, keys: Iterable[str]) -> dict[str, TrafficTotal]:
    """The newest row of each channel that has one."""
    asked = {"asked": json.dumps([[key] for key in keys])}
    rows = tx.connection.execute(_LAST_TRAFFIC_OF, asked)
    return {row.channel: TrafficTotal(row.at, row.egress_total, row.ingress_total) for row in rows}


def _put_totals(tx: Tx, totals: Mapping[str, TrafficTotal]) -> None:
    rows = [
        {"channel": key, "at": t.at, "egress_total": t.egress_bytes, "ingress_total": t.ingress_bytes}
        for key, t in totals.items()
    ]
    _put(tx, TRAFFIC, ["channel", "at"], rows)


def _put(tx: Tx, table: Table, key: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, in place of those with the same *key*: one statement, however many they are."""
    if not rows:
        return
    statement = insert(tx.connection, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    tx.connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed), rows)


def load_ledger(tx: Tx, channel: ChannelId, from_: UnixSeconds) -> Ledger:
    """Everything of a channel that may touch the time from *from_* on."""
    return load_ledgers(tx, {channel: from_})[channel]


def load_ledgers(tx: Tx, wanted: Mapping[ChannelId, UnixSeconds]) -> dict[ChannelId, Ledger]:
    """The same of many channels, each from its own moment on: five queries, however many there are."""
    asked = {"asked": json.dumps([[channel_hex(channel), from_] for channel, from_ in wanted.items()])}
    runs, holdings = _by_channel(tx, _RUNS_OF, asked), _by_channel(tx, _HOLDINGS_OF, asked)
    freezes = _by_channel(tx, _FREEZES_OF, asked)
    traffic, ceilings = _by_channel(tx, _TRAFFIC_OF, asked), _by_channel(tx, _CEILINGS_OF, asked)
    return {
        channel: Ledger(
            runs=tuple(
                Run(r.uid, r.started, r.ended, r.cpu_milli, r.memory_mib, r.scratch_mib) for r in runs[key]
            ),
            holdings=tuple(Holding(h.started, h.ended, h.mib) for h in holdings[key]),
            traffic=tuple(TrafficTotal(t.at, t.egress_total, t.ingress_total) for t in traffic[key]),
            ceilings=tuple(Ceiling(c.since, c.cpu_milli, c.memory_mib, c.scratch_mib) for c in ceilings[key]),
            freezes=tuple(Freeze(f.uid, f.started, f.ended, f.memory_mib) for f in freezes[key]),
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


_RUNS_OF, _HOLDINGS_OF, _FREEZES_OF = _touching(RUNS), _touching(HOLDINGS), _touching(FREEZES)
_TRAFFIC_OF, _CEILINGS_OF = _steps(TRAFFIC, "at"), _steps(CEILINGS, "since")
_newest = select(func.max(TRAFFIC.c.at)).where(TRAFFIC.c.channel == _CHANNEL).correlate(_ASKED)
_LAST_TRAFFIC_OF = (
    select(TRAFFIC)
    .select_from(_ASKED)
    .join(TRAFFIC, (TRAFFIC.c.channel == _CHANNEL) & (TRAFFIC.c.at == _newest.scalar_subquery()))
)
_MARKS_OF = select(MARKS).select_from(_ASKED).join(MARKS, MARKS.c.channel == _CHANNEL)
