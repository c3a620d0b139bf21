# SPDX-License-Identifier: Apache-2.0
"""Pruned books answer every question that is still asked as whole ones do: claims, bills, earnings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, func, select

from tests.fakes.provider.records import pod_record
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.ids import PodRef, channel_hex
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage
from trustedpods.provider.core import metering
from trustedpods.provider.core.earnings.sums import DAY_S, GroupedBy, Span, rows_of
from trustedpods.provider.core.metering import Ceiling, Run
from trustedpods.provider.core.pod import ChannelFact, Phase
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.core.traffic import Traffic
from trustedpods.provider.store import Vault, claims, history, ledger, pods
from trustedpods.provider.store.claims import ClaimOutcome, ClaimState
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.operator import earnings, pruning
from trustedpods.provider.store.tables import (
    CEILINGS,
    CLAIMS,
    CUTS,
    EARNED,
    EVENTS,
    HOLDINGS,
    METADATA,
    RUNS,
    TRAFFIC,
)

PRICES = Prices(cpu_core_ms=3, memory_mib_s=1, storage_mib_s=1, egress_kib=1, ingress_kib=1, scale=64)
TERMS = Terms.for_peak(PRICES, Usage(1000), unlock_s=60, claim_interval_s=50)
MINE = pod_record(terms=TERMS.pack(), chain=ChannelFact(1000, 20 * DAY_S, 0))
ENDED = replace(
    pod_record(terms=TERMS.pack(), chain=ChannelFact(1000, 5 * DAY_S, 0)),
    ref=PodRef(MINE.ref.owner, MINE.ref.publisher, b"\x09" * 32),
    phase=Phase.GONE,
    changed_at=5 * DAY_S,
    namespace="tp-e-1",
)
LIVES = {MINE.channel: MINE.life, ENDED.channel: ENDED.life}
BEFORE = 15 * DAY_S
BOTH = [channel_hex(one.channel) for one in (MINE, ENDED)]


def save_days(tx, record, days):
    """A claim a day, final, each paid the number of its day; and what it was made of."""
    for day in range(days):
        at = day * DAY_S
        ledger.record_run(
            tx, record.channel, record.namespace, Run(f"{record.label}-{day}", at, at + 900, 100, 64, 0)
        )
        ledger.add_traffic(tx, record.channel, Traffic(bytes_in=2048, bytes_out=4096), at + 60, 0)
        root = bytes([day + 1]) * 31 + record.ref.salt[:1]
        cut = Cut(record.channel, at, at + DAY_S, Usage(day), release=False)
        claims.save_claim(tx, root, b"signed", [cut], [[b"p" * 32]], LIVES, at + DAY_S)
        outcome = [ClaimOutcome(record.channel, 0, 2**70 + day)]
        claims.settle_claim(tx, root, ClaimState.FINAL, root, 1, outcome)


def fill(tx):
    for record, days in ((MINE, 20), (ENDED, 5)):
        pods.save(tx, record)
        ledger.hold(tx, record.channel, {"image": 7}, 0, Ceiling(0, 400, 256, 0))
        save_days(tx, record, days)
    ledger.hold(tx, ENDED.channel, {}, 5 * DAY_S)
    history.note(tx, ENDED.channel, 5 * DAY_S, "gone", "it went")


def count(tx, table, record=None):
    query = select(func.count()).select_from(table)
    if record is not None:
        query = query.where(table.c.channel == channel_hex(record.channel))
    return tx.connection.execute(query).scalar()


def counts(tx):
    return sum(count(tx, table) for table in (RUNS, HOLDINGS, TRAFFIC, CEILINGS, EVENTS, CUTS))


def prune(tx):
    done = pruning.prune(tx, BOTH, BEFORE)
    return done, pruning.prune_claims(tx, pruning.old_claims(tx, BEFORE))


def told(tx):
    """All that is still asked of these books."""
    payments, fees = earnings.payments(tx), earnings.fees(tx)
    book = ledger.load_ledger(tx, MINE.channel, MINE.chain.up_to)
    return (
        [rows_of(payments, fees, by, Span()) for by in GroupedBy],
        claims.paid_in_lives(tx, LIVES),
        claims.leaves(tx, MINE.channel, MINE.life, 0),
        [claims.newest_up_to(tx, record.channel) for record in (MINE, ENDED)],
        metering.usage(book, MINE.chain.up_to, MINE.chain.up_to + DAY_S),
        claims.last_root(tx),
        claims.last_claim_at(tx),
    )


async def test_what_is_still_asked_is_answered_as_before_and_the_rest_is_gone(book):
    async with book() as store:
        await store.write(fill)
        before = await store.read(told)
        done, claims_gone = await store.write(prune)
        assert await store.read(told) == before
        assert (done.periods, done.more, claims_gone) == (4, False, 4)
        assert await store.read(count, CUTS, ENDED) == 1, "the newest stays"
        assert await store.read(count, CUTS, MINE) == 20, "its bill is made of them"
        assert await store.read(count, EARNED) == 4
        assert await store.read(count, RUNS, MINE) == 5
        assert await store.read(count, RUNS, ENDED) == 0
        assert await store.read(count, TRAFFIC, MINE) < 10
        assert await store.read(count, EVENTS, ENDED) == 0
        assert await store.read(count, CLAIMS) == 21
        again, more = await store.write(prune)
        assert (again.counted, again.periods, more) == (0, 0, 0)
        assert await store.read(pruning.channels_after, "", 9) == [channel_hex(MINE.channel)]
        assert await store.read(told) == before


async def test_what_is_not_settled_stays_however_old_it_is(book):
    unpaid = replace(MINE, chain=ChannelFact(1000, 3 * DAY_S, 0))
    async with book() as store:
        await store.write(fill)
        await store.write(pods.save, unpaid)
        whole = await store.read(ledger.load_ledger, MINE.channel, 3 * DAY_S)
        await store.write(prune)
        assert await store.read(ledger.load_ledger, MINE.channel, 3 * DAY_S) == whole
        assert await store.read(count, RUNS, MINE) == 18, "those of the days before the last settled one went"


async def test_claims_that_are_under_way_are_not_touched(book):
    async with book() as store:
        await store.write(fill)
        cut = Cut(ENDED.channel, 6 * DAY_S, 7 * DAY_S, Usage(1), release=True)
        await store.write(claims.save_claim, b"o" * 32, b"out", [cut], [[]], LIVES, 7 * DAY_S)
        await store.write(prune)
        (found,) = await store.read(claims.open_claims)
        assert (found.signed, found.cuts) == (b"out", (cut,))


async def test_of_an_ended_pod_with_a_claim_under_way_nothing_goes(book):
    async with book() as store:
        await store.write(fill)
        runs = await store.read(count, RUNS, ENDED)
        cut = Cut(ENDED.channel, 5 * DAY_S, 6 * DAY_S, Usage(1), release=True)
        await store.write(claims.save_claim, b"o" * 32, b"out", [cut], [[]], LIVES, 6 * DAY_S)
        whole = await store.read(ledger.load_ledger, ENDED.channel, 5 * DAY_S)
        await store.write(prune)
        assert await store.read(ledger.load_ledger, ENDED.channel, 5 * DAY_S) == whole
        assert (await store.read(count, CUTS, ENDED), runs) == (6, 5)
        assert await store.read(count, EVENTS, ENDED) == 1


async def test_a_transaction_takes_a_bounded_number_and_all_together_take_the_same(book):
    async with book() as store:
        await store.write(fill)
        before, counted, periods, turns = await store.read(told), 0, 0, 1
        whole = await store.read(counts)
        while (done := await store.write(pruning.prune, BOTH, BEFORE, 3, 2)).more:
            assert 0 < done.counted + done.periods <= 5
            assert done.counted <= 3
            assert done.periods <= 2
            counted, periods, turns = counted + done.counted, periods + done.periods, turns + 1
            assert await store.read(told) == before
        left = await store.read(counts)
        assert counted + done.counted + periods + done.periods == whole - left
        assert turns > 8
        await store.write(prune)
        assert await store.read(counts) == left


async def test_claims_go_only_when_they_are_over_whoever_asks(book):
    async with book() as store:
        await store.write(fill)
        cut = Cut(ENDED.channel, 6 * DAY_S, 7 * DAY_S, Usage(1), release=True)
        await store.write(claims.save_claim, b"o" * 32, b"out", [cut], [[]], LIVES, 7 * DAY_S)
        old = await store.read(pruning.old_claims, BEFORE)
        assert b"o" * 32 not in old
        assert len(old) == 14 + 5, "made before, each with its signed bytes"
        assert await store.write(pruning.prune_claims, [b"o" * 32]) == 0
        assert [one.signed for one in await store.read(claims.open_claims)] == [b"out"]
        assert await store.write(pruning.prune_claims, old) == 0, "a period is left of each"
        assert await store.read(pruning.old_claims, BEFORE) == []


async def test_a_pod_that_ended_a_day_ago_keeps_all(book):
    async with book() as store:
        await store.write(fill)
        await store.write(pods.save, replace(ENDED, changed_at=BEFORE))
        leaves = await store.read(claims.leaves, ENDED.channel, ENDED.life, 0)
        await store.write(prune)
        assert await store.read(claims.leaves, ENDED.channel, ENDED.life, 0) == leaves
        assert len(leaves) == 5
        assert await store.read(count, EARNED) == 0


async def test_channels_come_in_portions_and_each_once(book):
    async with book() as store:
        await store.write(fill)
        seen, last = [], ""
        while found := await store.read(pruning.channels_after, last, 1):
            seen, last = seen + found, found[-1]
        assert seen == sorted(BOTH)


@pytest.fixture(scope="module")
def plain():
    """Books in memory, without a daemon: many examples are tried."""
    engine = create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.connect() as connection:
        yield Tx(connection, Vault(b"v" * 32))


@given(
    runs=st.lists(st.tuples(st.integers(0, 30 * DAY_S), st.integers(1, 3 * DAY_S)), max_size=8),
    traffic=st.lists(st.tuples(st.integers(0, 30 * DAY_S), st.integers(1, 9999)), max_size=12),
    sizes=st.lists(st.tuples(st.integers(0, 30 * DAY_S), st.integers(0, 9)), max_size=5),
    settled=st.integers(0, 30 * DAY_S),
    before=st.integers(0, 30 * DAY_S),
    back=st.integers(0, DAY_S),
    length=st.integers(0, 10 * DAY_S),
)
def test_no_period_from_the_settled_one_on_is_counted_otherwise(
    plain, runs, traffic, sizes, settled, before, back, length
):
    for table in reversed(METADATA.sorted_tables):
        plain.connection.execute(table.delete())
    pods.save(plain, replace(MINE, chain=ChannelFact(1000, settled, 0)))
    for number, (begun, lasted) in enumerate(runs):
        ledger.record_run(plain, MINE.channel, "tp", Run(str(number), begun, begun + lasted, 100, 64, 1))
    for at, size in sorted(traffic):
        ledger.add_traffic(plain, MINE.channel, Traffic(bytes_in=size, bytes_out=2 * size), at, 0)
    for at, mib in sorted(sizes):
        ledger.hold(plain, MINE.channel, {"image": mib}, at, Ceiling(at, 100 * mib, 64, 1))
    from_ = max(0, settled - back)  # as after a reorganisation
    whole = metering.usage(ledger.load_ledger(plain, MINE.channel, from_), from_, from_ + length)
    pruning.prune(plain, BOTH, before)
    assert metering.usage(ledger.load_ledger(plain, MINE.channel, from_), from_, from_ + length) == whole
