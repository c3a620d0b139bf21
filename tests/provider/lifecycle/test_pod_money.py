# SPDX-License-Identifier: Apache-2.0
"""A pod's money ends when it ends, whatever its publisher has under way, and whatever other pods do."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, serving, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.world import World
from trustedpods.contracts.terms import due
from trustedpods.protocol.envelopes import SignedRequest
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done, Progress
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody, SignedStatement
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def running(world):
    return [pod for life in world.cluster.lives.values() for pod in life.pods.values() if not pod.deleted_at]


async def follow_an_update(caller, told):
    """An update whose blobs never come; what its publisher is told at its end."""
    caller.blobs = image_of(b"never sent")
    private, request = caller.signed("provision", caller.bundle())
    async with caller.talk(private, request) as (_, reply):
        await reply(Needs)
        told.append("begun")
        try:
            while True:
                await reply(Progress, SignedStatement)
        except Refused as error:
            told.append(error.rule)


async def short(world, caller, parts):
    await caller.pay(due(Usage(2000, 2000, 20_000), parts.doors.config.prices) + 5)
    await caller.provision()


@pytest.mark.parametrize("end", ["money", "notice", "closed"])
async def test_an_update_whose_blobs_never_come_keeps_nothing_running(world, end, virtual_time):
    world.terms = {"grace_s": 10_000}
    told = []
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        await short(world, caller, parts)
        await until(lambda: running(world))
        nursery.start_soon(follow_an_update, caller, told)
        await until(lambda: told and in_phase(parts, caller, Phase.RECEIVED))
        if end == "money":
            world.pass_time(30)
        elif end == "notice":
            await world.chain.unlock(caller.key, world.owner, caller.ref.salt)
        else:
            world.chain.give(world.owner, 1)
            await world.chain.release(world.owner_key, [caller.ref])
        wanted = Phase.GONE if end == "closed" else Phase.STOPPED
        await until(lambda: in_phase(parts, caller, wanted))
        await until(lambda: not running(world))
        await until(lambda: told == ["begun", "given-up"])


async def test_money_in_the_middle_of_an_update_brings_back_what_was_proven(world, virtual_time):
    world.terms = {"grace_s": 10_000}
    told = []
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        await short(world, caller, parts)
        proven = parts.pods.get(caller.ref.channel).request
        nursery.start_soon(follow_an_update, caller, told)
        await until(lambda: told and in_phase(parts, caller, Phase.RECEIVED))
        world.pass_time(30)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await world.chain.top_up(caller.key, world.owner, caller.ref.channel, 10**9)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.pods.get(caller.ref.channel).request == proven


async def test_an_update_keeps_no_stopped_pods_volumes(world, virtual_time):
    world.terms = {"grace_s": 100}
    told = []
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        await short(world, caller, parts)
        world.pass_time(30)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        nursery.start_soon(follow_an_update, caller, told)
        await until(lambda: told and in_phase(parts, caller, Phase.RECEIVED))
        world.pass_time(120)
        await until(lambda: in_phase(parts, caller, Phase.GONE) or in_phase(parts, caller, Phase.REMOVING))
        await until(lambda: told[-1] == "given-up")


@pytest.mark.parametrize("generation", [1 << 63, (1 << 64) - 1])
async def test_a_generation_that_no_books_take_is_refused(world, generation, virtual_time, monkeypatch):
    """It is the word of a free key: what it says must not end the care for everybody else's pods."""
    signed = "trustedpods.protocol.sealing.requests.SignedRequest"
    monkeypatch.setattr(signed, SignedRequest.model_construct)  # a client that checks nothing
    async with serving(world) as (parts, caller):
        with pytest.raises(NetworkFailure) as caught:
            await caller.ask("delete", DeleteBody(), Done, generation=generation)
        assert caught.value.rule != "timeout"
        await parts.reconciler.look()
        assert in_phase(parts, caller, Phase.SERVING)


async def test_the_last_generation_is_kept_in_the_books(world, virtual_time):
    async with serving(world) as (parts, caller), trio.open_nursery() as nursery:
        nursery.start_soon(let_pass, world, 60)
        await caller.ask("delete", DeleteBody(), Done, generation=(1 << 63) - 1)
        await parts.reconciler.look()
        nursery.cancel_scope.cancel()


async def test_one_record_that_cannot_be_kept_ends_no_other_pods_care(world, virtual_time, caplog):
    world.terms = {"grace_s": 10_000}
    async with serving(world) as (parts, first):
        second = Caller(world, first.address)
        await short(world, second, parts)
        await parts.pods.learn(first.ref.channel, changed_at=1 << 64)  # a bug of ours, however it came
        world.pass_time(30)
        await until(lambda: in_phase(parts, second, Phase.STOPPED))
        assert "record cannot be written" in caplog.text
        record = parts.pods.get(first.ref.channel)
        await parts.pods.learn(first.ref.channel, changed_at=int(world.now))
        assert record.channel == first.ref.channel
