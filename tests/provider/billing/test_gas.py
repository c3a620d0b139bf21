# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A day's gas in the books: what can wait goes out the next day, and each fee counts once."""

import pytest

from tests.examples import some
from tests.fakes.chain.state import BLOCK_GAS, address_of
from tests.fakes.crash import Points
from tests.provider.billing.test_settlement import (
    again_and_later,
    make_case,
    no_threads,
    paid_once,
    recorded,
    store,
)
from trustedpods.provider.billing.gas import gas_today, may_send
from trustedpods.provider.config import GasSection
from trustedpods.provider.core.earnings.gas import PRICE_ROOM, Urgency, next_day
from trustedpods.provider.core.pod import ChannelFact
from trustedpods.provider.store import claims, history
from trustedpods.provider.store.operator import earnings

__all__ = ["no_threads", "store"]

NOTHING = GasSection(most_wei_per_day=0)
PLENTY = GasSection(most_wei_per_day=10**24)


async def made(store, tmp_path, gas):
    case = await make_case(store, tmp_path)
    case.gas = gas
    return case


async def held_back(case):
    """Settlement of three pods of which one ended, after some looks on a day without gas."""
    settlement = await case.daemon()
    await case.rounds(settlement)
    return settlement


def paid(case, record):
    life = case.chain.lives[case.world.owner, record.channel]
    return life.closed is not None or life.channel.up_to > life.opened_at


async def test_claims_wait_for_the_next_day_and_a_release_does_not(store, tmp_path):
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    assert [paid(case, one) for one in case.records] == [False, False, True]
    assert settlement._doors.gas.waiting == {"claims": 2}
    for record in case.records[:2]:
        (told,) = await store.read(history.events, record.channel)
        assert told.reason == "claim-deferred"
        assert "most_wei_per_day is 0" in told.text
    case.gas = PLENTY
    case.world.pass_time(next_day(int(case.world.now)) - int(case.world.now))
    settlement = await case.daemon()
    await case.rounds(settlement)
    assert settlement._doors.gas.waiting == {"claims": 0}
    await paid_once(case)


async def test_a_new_day_has_its_own_gas(store, tmp_path):
    """The release of the first day takes all of it; the second day's is for the others."""
    case = await made(store, tmp_path, NOTHING)
    price = case.chain.wei_per_gas
    case.gas = GasSection(most_wei_per_day=(80_000 + 2 * 12_000) * price * PRICE_ROOM)
    settlement = await held_back(case)
    doors = settlement._doors
    first = await gas_today(doors)
    assert (first.spent, first.out) == (BLOCK_GAS * price, 0)
    assert doors.gas.waiting == {"claims": 2}
    case.world.pass_time(next_day(int(case.world.now)) - int(case.world.now))
    assert (await gas_today(doors)).spent == 0
    await case.rounds(settlement)
    assert doors.gas.waiting == {"claims": 0}
    await paid_once(case)
    assert (await gas_today(doors)).spent == BLOCK_GAS * price


async def test_a_notice_that_comes_while_a_claim_waits_lets_it_go(store, tmp_path):
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    leaving = case.records[0]
    await case.chain.unlock((1).to_bytes(32, "big"), case.world.owner, leaving.ref.salt)
    channel = await case.chain.channel(case.world.owner, leaving.channel)
    await settlement._pods.learn(leaving.channel, chain=ChannelFact.of(channel))
    await case.rounds(settlement)
    assert [paid(case, one) for one in case.records] == [True, False, True]
    assert settlement._doors.gas.waiting == {"claims": 1}


async def test_of_a_pod_that_is_gone_nothing_waits(store, tmp_path):
    """Its publisher closed the channel after the notice, or it was taken out of the books otherwise."""
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    settlement._pods._records.clear()
    await settlement.tick()
    assert settlement._doors.gas.waiting == {"claims": 0}


async def test_what_the_operator_asks_for_goes_out(store, tmp_path):
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    report = await settlement.claim(prepare=False, withdraw=False)
    assert report.items == 2
    await case.rounds(settlement)
    await paid_once(case)


async def test_a_claim_that_is_out_counts_with_the_most_that_it_may_cost(store, tmp_path):
    case = await made(store, tmp_path, PLENTY)
    settlement = await case.daemon()
    await settlement.claim(prepare=True, withdraw=False)
    doors = settlement._doors
    assert (await gas_today(doors)).out == (80_000 + 3 * 12_000) * case.chain.wei_per_gas * PRICE_ROOM
    decision = await may_send(doors, "row", 1, Urgency.CAN_WAIT)
    assert decision.send
    assert (await gas_today(doors)).out > (80_000 + 3 * 12_000) * case.chain.wei_per_gas * PRICE_ROOM


async def test_without_a_cap_nothing_is_asked_or_kept(store, tmp_path):
    case = await made(store, tmp_path, GasSection())
    settlement = await held_back(case)
    await paid_once(case)
    assert (await store.read(claims.gas_out), settlement._doors.gas.waiting) == (0, {"claims": 0})


@pytest.mark.timeout(600)
async def test_a_kill_at_every_point_books_each_fee_once(store, tmp_path):
    names, _ = await recorded(store, tmp_path)
    for number, name in some(list(enumerate(names))):
        case, points = await made(store, tmp_path, PLENTY), Points(stop_at=number)
        await case.settle(points)
        await again_and_later(case)
        operator = address_of(case.world.operator_key)
        cost = sum(fee.wei for fee in case.chain.fees.values() if fee.sender == operator)
        assert sum(one.wei for one in await store.read(earnings.fees)) == cost, name
        assert await store.read(claims.gas_out) == 0, name


async def test_what_is_due_of_a_pod_that_is_sent_away_takes_no_others_with_it(store, tmp_path):
    """The operator asked for that pod's claim alone: others go on to wait, or are not due yet."""
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    leaving, staying = case.records[:2]
    report = await settlement.claim(prepare=False, withdraw=False, channels={leaving.channel})
    assert report.items == 1
    assert [paid(case, one) for one in case.records] == [True, False, True]
    assert settlement._doors.gas.waiting == {"claims": 1}
    assert len(await store.read(history.events, staying.channel)) == 1
    assert await settlement.claim(prepare=False, withdraw=False, channels=set())
    assert not paid(case, staying)


async def test_a_clock_that_goes_back_over_midnight_loses_no_claim(store, tmp_path):
    case = await made(store, tmp_path, NOTHING)
    settlement = await held_back(case)
    to_midnight = next_day(int(case.world.now)) - int(case.world.now)
    case.world.pass_time(to_midnight)
    await case.rounds(settlement)
    case.world.now -= 600
    await case.rounds(settlement)
    case.world.now += 600
    case.gas = PLENTY
    settlement = await case.daemon()
    await case.rounds(settlement)
    await paid_once(case)
