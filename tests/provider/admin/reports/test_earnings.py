# SPDX-License-Identifier: Apache-2.0
"""Earnings of the whole daemon on the fake market: exact to the unit, beside what the chain says."""

from collections import Counter
from datetime import UTC, datetime

import pytest
import trio

from tests.fakes.chain.state import BLOCK_GAS
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, serving
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import host_label
from trustedpods.provider.admin.reports.earnings import read_earnings
from trustedpods.provider.admin.reports.views import EarningsRequest
from trustedpods.provider.billing.fees import fill_fees, note_fee
from trustedpods.provider.core.earnings.sums import GroupedBy
from trustedpods.provider.store.operator.transactions import save_unfinished

LIMIT_S = 120
"""A claim is final at the daemon's next look, some seconds later."""

POLL_S = 0.5
"""Each question is a connection, which the daemon gives 10 s: few of them, for machines that are busy."""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def ask(world, verb, **fields):
    return admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": verb, **fields})


async def claimed(world, seconds, **fields):
    """Claim after so many seconds, and wait until nothing is under way; the earnings then.

    The daemon may have claimed by itself meanwhile: what the chain paid is what counts.
    """
    world.pass_time(seconds)
    await ask(world, "claim", **fields)
    with trio.fail_after(LIMIT_S):
        while (told := await ask(world, "earnings", chain=True))["claimsOut"]:
            await trio.sleep(POLL_S)
    return told


def paid_items(world):
    """Every payment that the fake market ever made, by itself."""
    return [result.paid for result in payments(world)]


def payments(world):
    sent = [one for found in world.chain.roots.values() for one in found]
    return [result for one in sent for result in one.results if result.paid]


def day_of(unix):
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d")


async def test_what_was_paid_is_told_to_the_unit_by_everything_and_is_the_chains(world):
    async with serving(world) as (_, caller):
        for seconds in (100, 90_000, 50):
            told = await claimed(world, seconds)
        paid = sum(paid_items(world))
        assert paid == world.chain.credit[world.owner] > 0
        assert (told["paid"], told["withdrawable"]) == (str(paid), str(paid))
        assert told["items"] == len(paid_items(world)) >= 3
        by_day = Counter()
        for result in payments(world):
            by_day[day_of(result.up_to - 1)] += result.paid
        assert {row["key"]: int(row["paid"]) for row in told["rows"] if row["items"]} == by_day
        claims = sum(verb == "submit" for verb, _ in world.chain.log)
        assert told["chain"] == {"credited": str(paid), "withdrawn": "0", "claims": claims, "whole": True}
        assert (told["out"], told["feesUnknown"]) == ("0", 0)
        spent = claims * BLOCK_GAS * world.chain.wei_per_gas
        assert told["gasWei"] == str(spent) == str(sum(int(row["gasWei"]) for row in told["rows"]))
        for by, key in (("pod", host_label(caller.ref.channel)), ("publisher", caller.ref.publisher)):
            [row] = (await ask(world, "earnings", by=by))["rows"]
            assert row == {"key": key, "paid": str(paid), "items": told["items"], "gasWei": None}


async def test_a_withdrawal_leaves_what_was_earned_as_it_is(world):
    async with serving(world):
        told = await claimed(world, 100, withdraw=True)
        paid = sum(paid_items(world))
        assert (told["paid"], told["withdrawable"], told["chain"]["withdrawn"]) == (str(paid), "0", str(paid))
        assert told["chain"]["whole"]
        assert told["gasWei"] == str(2 * BLOCK_GAS * world.chain.wei_per_gas)
        world.chain.withdrawn.clear()
        assert not (await ask(world, "earnings", chain=True))["chain"]["whole"], "the node forgot an event"


async def test_what_is_claimed_and_what_is_not_yet_are_told_apart(world):
    async with serving(world):
        world.pass_time(100)
        await ask(world, "claim", prepare=True)
        told = await ask(world, "earnings")
        out = int(told["out"])
        assert (told["paid"], told["claimsOut"]) == ("0", 1)
        assert out > int(told["unclaimed"])
        world.pass_time(50)
        after = await ask(world, "earnings")
        assert after["out"] == told["out"]
        assert int(after["unclaimed"]) > int(told["unclaimed"])
        assert (await claimed(world, 0))["paid"] == str(out), "the prepared claim, and nothing else"


async def test_without_a_chain_the_books_are_told(world):
    async with serving(world):
        paid = (await claimed(world, 100))["paid"]
        world.chain.broken = True
        told = await ask(world, "earnings", chain=True)
        assert (told["paid"], told["withdrawable"], told["chain"], told["token"]) == (paid, None, None, None)
        assert told["trouble"] == "the chain node does not answer"


async def test_only_the_time_that_was_asked_for_counts(world):
    async with serving(world):
        await claimed(world, 100)
        whole = await claimed(world, 200_000)
        middle = int(world.now) - 86_400
        early = await ask(world, "earnings", until=middle)
        late = await ask(world, "earnings", since=middle + (-middle % 86_400))
        assert early["rows"] + late["rows"] == whole["rows"]
        assert early["rows"]
        assert late["rows"]
        assert int(early["paid"]) + int(late["paid"]) == int(whole["paid"])
        for fields in ({"by": "year"}, {"since": -1}, {"since": 1.5}, {"since": 2**41}, {"chain": 1}):
            with pytest.raises(BadInput):
                await ask(world, "earnings", **fields)


async def test_too_many_rows_are_refused_with_what_to_do(world):
    async with serving(world) as (parts, _):
        await claimed(world, 100)
        with pytest.raises(BadInput) as refused:
            await read_earnings(
                parts.doors, parts.pods.standing, EarningsRequest(by=GroupedBy.POD), most_rows=0
            )
        assert "by day or month" in refused.value.hint


async def test_gas_that_somebody_else_paid_is_not_ours(world):
    async with world.run() as (parts, _):
        other = (77).to_bytes(32, "big")
        world.chain.give(parts.doors.owner, 0)
        receipt = await world.chain.set_payout(world.operator_key, parts.doors.owner)
        await note_fee(parts.doors, receipt.tx_hash)
        mine = int((await ask(world, "earnings"))["gasWei"])
        assert mine == BLOCK_GAS * world.chain.wei_per_gas
        world.chain.give(address_of(other), 0)
        receipt = await world.chain.set_payout(other, parts.doors.owner)
        await note_fee(parts.doors, receipt.tx_hash)
        await note_fee(parts.doors, b"\x01" * 32)
        assert int((await ask(world, "earnings"))["gasWei"]) == mine


async def test_what_an_earlier_key_of_the_operators_paid_is_ours(world):
    """Its list of transactions stays in the books when all of them are final."""
    earlier, chain_id = (78).to_bytes(32, "big"), world.chain.market.chain_id
    async with world.run() as (parts, _):
        sender = address_of(earlier)
        await parts.doors.store.write(save_unfinished, {f"{chain_id}-aa-{sender}": b"{}"})
        world.chain.give(sender, 0)
        receipt = await world.chain.set_payout(earlier, parts.doors.owner)
        await note_fee(parts.doors, receipt.tx_hash)
        assert int((await ask(world, "earnings"))["gasWei"]) == BLOCK_GAS * world.chain.wei_per_gas


async def test_a_fee_that_could_not_be_read_is_read_later_and_belongs_to_the_claims_day(world):
    async with serving(world) as (parts, _):
        real = world.chain.fee

        async def forgotten(_hash):
            return None

        world.chain.fee = forgotten
        told = await claimed(world, 100)
        assert (told["gasWei"], told["feesUnknown"]) == ("0", 1)
        day = day_of(world.now)
        world.chain.fee = real
        world.now += 3 * 86_400
        await fill_fees(parts.doors)
        told = await ask(world, "earnings")
        assert told["feesUnknown"] == 0
        assert int(told["gasWei"]) == BLOCK_GAS * world.chain.wei_per_gas
        assert [row["key"] for row in told["rows"] if int(row["gasWei"])] == [day]
