# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""After a change of keys: what the former key sent ends before the present one sends, and its coin moves."""

import os
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.chain.chain import FakeChain
from tests.fakes.chain.state import address_of
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.billing.former_keys import RETRY_S, FormerKeys, HandoverTimes
from trustedpods.provider.billing.submission import LEAVING_LOOK_S, LEAVING_MARGIN_S, ClaimSubmission
from trustedpods.provider.core.operator_key.rotation import movable
from trustedpods.provider.core.pod import ChannelFact
from trustedpods.provider.keys.file import make_key, read_key
from trustedpods.provider.keys.operator_files import make_following, switch
from trustedpods.provider.store.operator.transactions import save_unfinished, unfinished_of

ME = os.geteuid(), os.getegid()
FEW_S = 5.0
SHORT_S = 4 * RETRY_S
IMPATIENT = HandoverTimes(most_wait_s=SHORT_S, look_every_s=SHORT_S)
"""Instead of an hour, in which the whole daemon does what it does in an hour."""


@dataclass
class PendingChain(FakeChain):
    """What former keys sent is final once `final`; `asked` are those who asked for it."""

    final: bool = False
    away: bool = False
    asked: list = field(default_factory=list)
    store: object = None

    async def resume(self, key, *, told=False):
        self._reach()
        address = address_of(key) if isinstance(key, bytes) else key.address
        if not told:
            return []
        self.asked.append(key)
        if self.away or not self.final:
            raise NetworkFailure("it is not mined yet")
        found = await self.store.read(lambda tx: unfinished_of(tx, self.market.chain_id))
        if found[address]:
            await self.store.write(save_unfinished, {piece(self, address): None})
        return []


@dataclass
class OneRecord:
    """Of a pod whose publisher may close the channel then."""

    unlock_at: int

    def get(self, _channel):
        return SimpleNamespace(chain=ChannelFact(0, 0, self.unlock_at))


def piece(chain, address):
    return f"{chain.market.chain_id}-{'aa' * 8}-{address}-{'01' * 16}"


@dataclass
class KeyedWorld(World):
    """Its operator's key is in a file; `former` is the one before."""

    former: bytes = b""

    def __post_init__(self):
        self.chain = PendingChain()
        super().__post_init__()

    @property
    def path(self):
        return self.tmp_path / "operator.key"

    def _config(self):
        config = super()._config()
        identity = config.identity.model_copy(update={"operator_key_file": str(self.path)})
        return config.model_copy(update={"identity": identity})


@pytest.fixture
async def world(tmp_path):
    """A daemon sent something with the key before, and was stopped before it was mined."""
    world = KeyedWorld(tmp_path)
    make_key(world.path, *ME)
    world.former = world.operator_key = read_key(world.path)
    world.chain.give(address_of(world.former), 0)
    async with world.run() as (parts, _):
        pieces = {piece(world.chain, address_of(world.former)): b"{}"}
        await parts.doors.store.write(save_unfinished, pieces)
    make_following(world.path, *ME)
    switch(world.path, None)
    world.operator_key = read_key(world.path)
    world.chain.give(address_of(world.operator_key), 0)
    world.chain.operators.add((world.owner, address_of(world.operator_key)))
    world.chain.credit[world.owner] = 7
    return world


async def withdrawn(parts):
    await parts.settlement.claim(prepare=False, withdraw=True)


def sent(world):
    return [verb for verb, _ in world.chain.log]


async def test_nothing_is_sent_before_what_the_former_key_sent_is_final(world, virtual_time):
    async with world.run() as (parts, _), trio.open_nursery() as nursery:
        world.chain.store = parts.doors.store
        nursery.start_soon(withdrawn, parts)
        await trio.sleep(10 * RETRY_S)
        assert sent(world) == []
        world.chain.final = True
        with trio.fail_after(2 * RETRY_S):
            while "withdraw" not in sent(world):
                await trio.sleep(0.1)
    assert world.former in world.chain.asked


async def test_a_daemon_that_is_killed_meanwhile_waits_again(world, virtual_time):
    for _ in range(2):
        async with world.run() as (parts, _):
            world.chain.store = parts.doors.store
            with trio.move_on_after(3 * RETRY_S):
                await withdrawn(parts)
        assert sent(world) == []


async def test_books_that_cannot_be_read_open_nothing(world, virtual_time):
    async with world.run() as (parts, _):
        world.chain.store = parts.doors.store
        with world.disk.failing(), trio.move_on_after(3 * RETRY_S):
            await parts.doors.sending.passed()
            pytest.fail("it was let through")
        assert sent(world) == []


async def test_what_is_never_mined_is_not_waited_for_for_ever(world, virtual_time):
    async with world.run() as (parts, _), trio.open_nursery() as nursery:
        world.chain.store, began = parts.doors.store, trio.current_time()
        nursery.start_soon(FormerKeys(parts.doors, IMPATIENT).run)
        await withdrawn(parts)
        assert trio.current_time() - began == pytest.approx(SHORT_S, rel=0.1)
        assert sent(world) == ["withdraw"]
        nursery.cancel_scope.cancel()


async def test_a_claim_whose_channel_may_soon_be_closed_waits_for_no_former_key(world, virtual_time):
    async with world.run() as (parts, _):
        world.chain.store = parts.doors.store
        submission = ClaimSubmission(parts.doors, OneRecord(world.now + 10 * LEAVING_MARGIN_S))
        claim = SimpleNamespace(cuts=[SimpleNamespace(channel=b"")])
        with trio.move_on_after(2 * LEAVING_LOOK_S) as waits:
            await submission._may_go(claim)
        assert waits.cancelled_caught
        submission._pods.unlock_at = world.now + LEAVING_MARGIN_S  # announced meanwhile
        with trio.fail_after(FEW_S):
            await submission._may_go(claim)
        assert parts.doors.sending.is_shut


async def test_behind_the_open_gate_it_is_still_brought_to_its_end(world, virtual_time, caplog):
    async with world.run() as (parts, _), trio.open_nursery() as nursery:
        world.chain.store = parts.doors.store
        nursery.start_soon(FormerKeys(parts.doors, IMPATIENT).run)
        await withdrawn(parts)
        world.chain.final = True
        await trio.sleep(2 * RETRY_S)
        assert not await parts.doors.store.read(unfinished_of, world.chain.market.chain_id)
        nursery.cancel_scope.cancel()
    told = [one for one in caplog.messages if "is not final: " in one]
    assert len(told) == 2, "once for each of the two that look"


async def test_the_rest_of_the_coin_goes_to_the_present_key(world, virtual_time):
    former, present = address_of(world.former), address_of(world.operator_key)
    world.chain.final = True
    had = world.chain.gas[former]
    async with world.run() as (parts, _), trio.open_nursery() as nursery:
        world.chain.store = parts.doors.store
        await trio.sleep(2 * RETRY_S)
        moved = movable(had, world.chain.wei_per_gas)
        assert (world.chain.gas[former], world.chain.gas[present]) == (had - moved, 10**18 + moved)
        nursery.start_soon(FormerKeys(parts.doors, IMPATIENT).run)
        await trio.sleep(RETRY_S)
        world.chain.gas[former] += had  # somebody knew its address alone
        await trio.sleep(SHORT_S + 2 * RETRY_S)
        assert world.chain.gas[former] < had
        nursery.cancel_scope.cancel()
    assert sent(world) == ["send_gas", "send_gas"]


async def test_a_lost_key_is_only_looked_for_and_its_coin_stays(world, virtual_time):
    former = address_of(world.former)
    world.path.with_name("operator.key.former").write_text(former)
    world.chain.final = True
    async with world.run() as (parts, _):
        world.chain.store = parts.doors.store
        await withdrawn(parts)
        await trio.sleep(2 * RETRY_S)
    assert {one.address for one in world.chain.asked} == {former}
    assert sent(world) == ["withdraw"]


async def test_without_a_change_nobody_waits(tmp_path):
    world = KeyedWorld(tmp_path)
    make_key(world.path, *ME)
    world.operator_key = read_key(world.path)
    world.chain.give(address_of(world.operator_key), 0)
    world.chain.credit[world.owner] = 7
    async with world.run() as (parts, _):
        with trio.fail_after(FEW_S):
            await withdrawn(parts)
    assert world.chain.asked == []
