# SPDX-License-Identifier: Apache-2.0
"""What counts as earned and what is still out, in both databases."""

from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import event

from tests.fakes.provider.records import PUBLISHER, pod_record
from trustedpods.contracts.terms import Terms, due
from trustedpods.contracts.usage import ItemFlags
from trustedpods.protocol.ids import PodRef, channel_hex
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.earnings.sums import Earned, GroupedBy, Span, Spent, rows_of
from trustedpods.provider.core.settlement import Cut
from trustedpods.provider.store import claims, pods
from trustedpods.provider.store.claims import ClaimOutcome, ClaimState
from trustedpods.provider.store.operator import earnings
from trustedpods.provider.store.operator.earnings import FeelessClaim, OutItem
from trustedpods.provider.store.tables import EARNED

PRICES = Prices(cpu_core_ms=3, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)
TERMS = Terms.for_peak(PRICES, Usage(1000), unlock_s=60, claim_interval_s=50)
MINE = pod_record(terms=TERMS.pack())
GONE = PodRef(MINE.ref.owner, MINE.ref.publisher, b"\x09" * 32).channel
USED = Usage(cpu_core_ms=7)
MORE_THAN_64_BITS = 2**80
DAY_S = 86_400


def root_of(number):
    return bytes([number]) * 32


def cut(channel, from_, up_to):
    return Cut(channel, from_, up_to, USED, release=False)


async def save(store, number, *cuts):
    proofs, lives = [[] for _ in cuts], {one.channel: "tp-1" for one in cuts}
    await store.write(claims.save_claim, root_of(number), b"signed", cuts, proofs, lives, 100 + number)


async def settle(store, number, state, *paid, flags=0):
    outcomes = [ClaimOutcome(channel, flags, units) for channel, units in paid]
    await store.write(claims.settle_claim, root_of(number), state, b"tx%d" % number, 5, outcomes)


async def test_final_claims_are_earned_and_the_others_are_out(book):
    async with book() as store:
        await store.write(pods.save, MINE)
        await save(store, 1, cut(MINE.channel, 0, 100), cut(GONE, 0, 100))
        await settle(store, 1, ClaimState.FINAL, (MINE.channel, MORE_THAN_64_BITS), (GONE, 1))
        await save(store, 2, cut(MINE.channel, 100, 200))
        await settle(store, 2, ClaimState.MINED, (MINE.channel, 9))
        await save(store, 3, cut(MINE.channel, 200, 300), cut(GONE, 100, 200))
        await save(store, 4, cut(MINE.channel, 300, 400))
        await settle(store, 4, ClaimState.LOST)
        assert set(await store.read(earnings.payments)) == {
            Earned(99, MINE.channel, PUBLISHER, MORE_THAN_64_BITS, life="tp-1"),
            Earned(99, GONE, None, 1, life="tp-1"),
        }
        found = sorted(await store.read(earnings.out_items), key=lambda one: (one.up_to, one.channel))
        cost = due(USED, PRICES)
        assert cost == 3 * 7
        assert [one for one in found if one.channel == MINE.channel] == [
            OutItem(root_of(2), MINE.channel, 200, 9),
            OutItem(root_of(3), MINE.channel, 300, cost),
        ]
        assert [one.due for one in found if one.channel == GONE] == [0], "nobody knows its prices any more"


async def test_queries_do_not_grow_with_the_claims(book):
    """Also where payments are told pod by pod."""

    def queries(tx):
        asked = []
        with noted(tx.connection, asked):
            books = earnings.whole(tx, by_pod=True)
        return len(books.payments), len(asked)

    found = []
    async with book() as store:
        await store.write(pods.save, MINE)
        for number in range(1, 13):
            await save(store, number, cut(MINE.channel, number, number + 1), cut(GONE, number, number + 1))
            await settle(store, number, ClaimState.FINAL, (MINE.channel, 3), (GONE, 4))
            found.append(await store.read(queries))
    assert [payments for payments, _ in found] == list(range(2, 26, 2))
    assert len({count for _, count in found}) == 1


@contextmanager
def noted(connection, asked):
    """What is asked of the database is put into *asked* meanwhile."""

    def note(_connection, _cursor, statement, *_):
        asked.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(connection, "before_cursor_execute", note)


async def test_what_a_reorganisation_took_back_is_earned_no_more(book):
    async with book() as store:
        await store.write(pods.save, MINE)
        await save(store, 1, cut(MINE.channel, 0, 100))
        await settle(store, 1, ClaimState.FINAL, (MINE.channel, 50))
        await save(store, 2, cut(MINE.channel, 0, 200))
        await settle(store, 2, ClaimState.FINAL, (MINE.channel, 80))
        assert await store.read(earnings.payments) == [Earned(199, MINE.channel, PUBLISHER, 80, life="tp-1")]


async def test_an_item_that_was_skipped_brought_nothing(book):
    async with book() as store:
        await save(store, 1, cut(MINE.channel, 0, 100))
        await settle(store, 1, ClaimState.FINAL, (MINE.channel, 0), flags=int(ItemFlags.STALE))
        assert await store.read(earnings.payments) == []


async def test_a_fee_is_booked_once_and_claims_without_one_are_counted(book):
    async with book() as store:
        for number in (1, 2):
            await save(store, number, cut(MINE.channel, number, number + 1))
            await settle(store, number, ClaimState.FINAL, (MINE.channel, 1))
        assert await store.read(earnings.unknown_fees) == 2
        for wei in (MORE_THAN_64_BITS, 7):
            await store.write(earnings.save_fee, b"tx1", 500, wei)
        assert await store.read(earnings.fees) == [Spent(500, MORE_THAN_64_BITS)]
        assert await store.read(earnings.has_fee, b"tx1")
        assert not await store.read(earnings.has_fee, b"tx2")
        assert await store.read(earnings.unknown_fees) == 1
        assert await store.read(earnings.feeless, 9) == [FeelessClaim(b"tx2")]


async def test_days_of_all_pods_together_are_exact_and_only_those_that_were_asked_for(book):
    async with book() as store:
        await store.write(pods.save, MINE)
        kept = [(MINE.channel, 0, 5), (MINE.channel, DAY_S, MORE_THAN_64_BITS), (GONE, DAY_S, 3)]
        await store.write(keep_by_day, kept)
        await save(store, 1, cut(MINE.channel, 0, DAY_S), cut(GONE, 0, DAY_S + 1))
        await settle(store, 1, ClaimState.FINAL, (MINE.channel, 10), (GONE, 20))
        for wei, at in ((1, DAY_S - 1), (2, DAY_S)):
            await store.write(earnings.save_fee, b"tx%d" % at, at, wei)
        together = await store.read(partial(earnings.whole, since=DAY_S, by_pod=False))
        apart = await store.read(partial(earnings.whole, since=DAY_S))
        everything = await store.read(partial(earnings.whole, by_pod=False))
    assert sorted((one.at, one.paid, one.items) for one in together.payments) == [
        (DAY_S, 20, 1),
        (DAY_S, MORE_THAN_64_BITS + 3, 2),
    ]
    assert {one.channel for one in apart.payments} == {MINE.channel, GONE}
    for books in (together, apart):
        assert sum(one.paid for one in books.payments) == MORE_THAN_64_BITS + 23
        assert books.fees == [Spent(DAY_S, 2)]
    assert sum(one.paid for one in everything.payments) == MORE_THAN_64_BITS + 38


@pytest.mark.parametrize("by", [GroupedBy.DAY, GroupedBy.MONTH])
@pytest.mark.parametrize("since", [0, DAY_S, 31 * DAY_S])
async def test_all_pods_together_have_the_same_days_and_months_as_each_by_itself(book, by, since):
    ends = [1, 5, DAY_S, DAY_S + 1, 2 * DAY_S - 1, 2 * DAY_S, 31 * DAY_S, 31 * DAY_S + 1, 40 * DAY_S]
    async with book() as store:
        await store.write(pods.save, MINE)
        await store.write(keep_by_day, [(MINE.channel, at, at + 1) for at in (0, DAY_S, 31 * DAY_S)])
        for number, end in enumerate(ends):
            await save(store, number, cut(MINE.channel, 0, end), cut(GONE, 0, end))
            await settle(store, number, ClaimState.FINAL, (MINE.channel, MORE_THAN_64_BITS), (GONE, number))
        await save(store, 100, cut(MINE.channel, 0, 50 * DAY_S))
        found = [
            await store.read(partial(earnings.whole, since=since, by_pod=by_pod)) for by_pod in (False, True)
        ]
    together, apart = ([*rows_of(books.payments, (), by, Span(since))] for books in found)
    assert together == apart
    assert sum(row.paid for row in together) > MORE_THAN_64_BITS
    assert len(found[0].payments) < len(found[1].payments)


def keep_by_day(tx, rows):
    made = [
        {
            "channel": channel_hex(channel),
            "life": "tp-1",
            "day": day,
            "publisher": None,
            "paid": str(paid),
            "items": 1,
        }
        for channel, day, paid in rows
    ]
    tx.connection.execute(EARNED.insert(), made)
