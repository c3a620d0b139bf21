# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""Claims side by side: as long as the slowest, and none that is lost, late or stuck holds up another."""

from dataclasses import dataclass

import pytest
import trio

from tests.fakes.crash import Points
from tests.provider.billing.test_settlement import FINALITY, make_case, no_threads, paid_once, store
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.settlement import MAX_BATCH
from trustedpods.provider.store import claims

__all__ = ["no_threads", "store"]

PODS = 2 * MAX_BATCH + 10
FINAL_AFTER_S = 60.0

pytestmark = pytest.mark.timeout(600)


class SlowChain:
    """A chain whose claims are final a minute after they were sent; *faults* are told the number of each."""

    def __init__(self, chain, faults=lambda number: None):
        self.chain, self.faults = chain, faults
        self.number = self.most = self.now = 0
        self._submit = chain.submit_usage_for
        chain.submit_usage_for = self.submit_usage_for

    async def submit_usage_for(self, *arguments):
        number, self.number = self.number, self.number + 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await trio.sleep(FINAL_AFTER_S)
            fault = self.faults(number)
            if fault == "stuck":
                await trio.sleep_forever()
            if fault == "lost":
                raise NetworkFailure("was not mined within 90 s; it still may be")
            answer = await self._submit(*arguments)
            self.chain.number += FINALITY
            if fault == "late":
                raise NetworkFailure("was not mined within 90 s; it still may be")
            return answer
        finally:
            self.now -= 1


@pytest.fixture
async def case(store, tmp_path):
    return await make_case(store, tmp_path, PODS)


async def test_many_channels_settle_in_the_time_of_one_claim(case, autojump_clock):
    chain, settlement = SlowChain(case.chain), await case.daemon()
    began = trio.current_time()
    await settlement.tick()
    assert chain.most == chain.number == 3
    assert trio.current_time() - began < 2 * FINAL_AFTER_S
    case.chain.number += FINALITY
    await settlement.tick()
    await paid_once(case, PODS)


@pytest.mark.parametrize("fault", ["lost", "late"])
async def test_a_claim_that_is_lost_or_late_is_met_again_and_paid_once(case, autojump_clock, fault):
    chain, settlement = SlowChain(case.chain, {1: fault}.get), await case.daemon()
    with pytest.raises(NetworkFailure):
        await settlement.tick()
    left = await case.store.read(claims.open_claims)
    assert len([one for one in left if one.tx is None]) == 1  # the two others have landed
    for _ in range(3):
        case.chain.number += FINALITY
        await settlement.tick()
    await paid_once(case, PODS)
    assert chain.number == (4 if fault == "lost" else 3)


async def test_a_claim_that_is_stuck_holds_up_nobody_else(case, autojump_clock):
    """The others are final, and settle their next period; a start later all is paid."""
    SlowChain(case.chain, {0: "stuck"}.get)
    settlement = await case.daemon()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(settlement.run)
        with trio.fail_after(100 * FINAL_AFTER_S):
            while await case.store.read(claims.count_open) != 1:
                await trio.sleep(1)
            (stuck,) = await case.store.read(claims.open_claims)
            case.world.pass_time(100)
            while (await case.store.read(claims.count_by_state)).get("final", 0) < 4:
                await trio.sleep(1)
                case.chain.number += 1
        assert (await case.store.read(claims.open_claim)).root == stuck.root
        nursery.cancel_scope.cancel()
    case.chain.submit_usage_for = type(case.chain).submit_usage_for.__get__(case.chain)
    await case.settle()
    case.world.pass_time(100)
    await case.settle()
    await paid_once(case, PODS)


async def test_two_looks_at_once_send_each_claim_once(case, autojump_clock):
    chain, settlement = SlowChain(case.chain), await case.daemon()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(settlement.tick)
        await trio.sleep(1)
        await settlement.flush(case.records[0].channel)
        await settlement.claim(prepare=False, withdraw=False)
    assert chain.number == 3
    case.chain.number += FINALITY
    await settlement.tick()
    await paid_once(case, PODS)


async def test_who_asks_for_some_channels_waits_for_no_claim_of_others(case, autojump_clock):
    """One claim is stuck and one is lost: the third is sent, and asked for, all the same."""
    SlowChain(case.chain, {0: "stuck", 1: "lost"}.get)
    settlement = await case.daemon()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(settlement.run)
        with trio.fail_after(10 * FINAL_AFTER_S):
            while (await case.store.read(claims.count_by_state)).get("mined", 0) < 1:
                await trio.sleep(1)
            (landed,) = [one for one in await case.store.read(claims.open_claims) if one.state == "mined"]
            channel = landed.cuts[0].channel
            await settlement.flush(channel)
            case.chain.number += FINALITY
            case.world.pass_time(100)
            told = await settlement.claim(prepare=False, withdraw=False, channels={channel})
            assert told.root not in {None, landed.root}
            assert told.transaction is not None
        nursery.cancel_scope.cancel()


async def test_a_claim_that_was_over_while_one_waited_for_it_is_not_carried_again(case, autojump_clock):
    SlowChain(case.chain)
    settlement, carried = await case.daemon(), []
    advance = settlement._sending.advance

    async def finish(claim):
        carried.append(claim.root)
        transaction = await advance(claim)
        await case.store.write(claims.mark_claim, claim.root, claims.ClaimState.FINAL)
        return transaction

    settlement._sending.advance = finish
    told = await settlement.claim(prepare=True, withdraw=False)
    stored = await case.store.read(claims.load_claim, told.root)
    found: list = []

    async def carry():
        found.append(await settlement._under_way.carry([stored]))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(carry)
    assert carried == [stored.root]
    assert len(found) == 3
    assert len({transactions[stored.root] for transactions in found}) == 1


@dataclass
class Nth(Points):
    """Stops where *name* is passed for the time *turn*, counted from 0."""

    name: str = ""
    turn: int = 0

    async def passed(self, name):
        if self.armed and name == self.name and self.names.count(name) == self.turn:
            self.stop_at = len(self.names)
        await super().passed(name)


@pytest.mark.parametrize(
    ("name", "turn"),
    [("store.write.save_claim", 2), ("chain.submit_usage_for", 1), ("store.write.settle_claim", 1)],
)
async def test_a_kill_while_several_are_under_way(case, autojump_clock, name, turn):
    """What is stored goes on, and what is not is cut anew."""
    points = Nth(name=f"{name} entered", turn=turn)
    await case.settle(points)
    assert points.dead.is_set()
    await case.settle()
    await paid_once(case, PODS)


async def test_a_reorganisation_takes_all_of_them_back(case, autojump_clock):
    blocks, settlement = case.chain.snapshot(), await case.daemon()
    await settlement.tick()
    assert sum((await case.store.read(claims.count_by_state)).values()) == 3
    case.chain.reorganise(blocks)
    await case.settle()
    await paid_once(case, PODS)


@pytest.mark.parametrize("fault", ["hangs", "raises"])
async def test_what_is_stored_goes_on_where_no_more_can_be_cut(case, autojump_clock, fault):
    """One claim was stored before a kill; then the cluster does not answer, or shows what nobody expects."""
    points = Nth(name="store.write.save_claim entered", turn=1)
    await case.settle(points)
    assert points.dead.is_set()
    chain, settlement = SlowChain(case.chain), await case.daemon()

    async def observe():
        await trio.sleep(1)
        if fault == "raises":
            raise KeyError("uid")
        await trio.sleep_forever()

    settlement._meter.observe, observe_well = observe, settlement._meter.observe
    if fault == "hangs":
        with pytest.raises(NetworkFailure, match="no claim was cut"):
            await settlement.tick()
    else:
        await settlement.tick()
    assert await case.store.read(claims.count_by_state) == {"mined": 1}
    assert chain.number == 1
    settlement._meter.observe = observe_well
    for _ in range(3):
        case.chain.number += FINALITY
        await settlement.tick()
    await paid_once(case, PODS)
