# SPDX-License-Identifier: Apache-2.0
"""`restart`: the bundle that serves becomes its own next version, by the way of an update."""

from contextlib import suppress

import pytest
import trio

from tests.fakes.provider.caller import Caller, in_phase, manifest_of, serving, until
from tests.fakes.provider.world import World
from tests.provider.lifecycle.test_updates import (
    CRASH,
    KEYS,
    FailsElsewhere,
    awake,
    disk,
    newer,
    served_by,
    watch,
)
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.pod import RestartBody, RestartPlan, SignedStatement, Statement
from trustedpods.provider.core.pod import Phase


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def restart(caller, **how):
    """The plan, the steps that were told, and the statement; no plan where one was under way."""
    private, request = caller.signed("restart", RestartBody(), **how)
    plan, steps = None, []
    async with caller.talk(private, request) as (_, reply):
        while True:
            line, final = await reply(RestartPlan, Progress, SignedStatement)
            if isinstance(line, RestartPlan):
                plan = line
            elif final:
                return plan, steps, decode(line.statement, Statement)
            else:
                steps.append(line.step)


async def test_the_replica_before_serves_until_the_new_one_does(world):
    async with serving(world) as (parts, caller):
        (before,) = await awake(world, parts, caller)
        (old,) = world.cluster.lives.values()
        record = parts.pods.get(caller.ref.channel)
        world.cluster.hold_starts = True
        seen = []

        async def asked():
            with suppress(NetworkFailure):  # it is cut off below, and its stream may end before it does
                await restart(caller)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(asked)
            await until(lambda: len(world.cluster.lives) == 2 and world.cluster.lives[newer(world, old)].pods)
            assert served_by(world, parts, caller) == [before]
            world.cluster.release_starts()
            nursery.start_soon(watch, world, parts, caller, seen)
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
            nursery.cancel_scope.cancel()
        assert all(len(names) == 1 for names in seen)
        assert served_by(world, parts, caller) != [before]
        after = parts.pods.get(caller.ref.channel)
        assert after.request == record.request
        assert after.generation > record.generation
        assert after.namespace != record.namespace
        await until(lambda: old.name not in world.cluster.lives)


async def test_it_is_confirmed_for_its_own_generation(world):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        plan, steps, statement = await restart(caller)
        assert plan == RestartPlan(replicas=1, stops=False)
        assert "start" in steps
        assert statement.generation == parts.pods.get(caller.ref.channel).generation


async def test_what_writes_a_volume_ends_first(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[KEYS, disk("data")], scale={"max": 1})
        await caller.provision()
        namespace = parts.pods.get(caller.ref.channel).namespace
        (before,) = await awake(world, parts, caller)
        plan, steps, _ = await restart(caller)
        assert plan.stops
        assert "drain" in steps
        assert parts.pods.get(caller.ref.channel).namespace == namespace
        assert before not in served_by(world, parts, caller)


async def test_a_plan_alone_touches_nothing(world):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        record = parts.pods.get(caller.ref.channel)
        plan = await caller.ask("restart", RestartBody(plan_only=True), RestartPlan)
        assert plan == RestartPlan(replicas=1, stops=False)
        assert parts.pods.get(caller.ref.channel) == record


async def test_one_that_does_not_start_again_touches_nothing_that_serves(world):
    async with serving(world) as (parts, caller):
        before = await awake(world, parts, caller)
        (old,) = world.cluster.lives
        world.cluster.failing = FailsElsewhere(old, CRASH)
        with pytest.raises(Refused):
            await restart(caller)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert served_by(world, parts, caller) == before


async def test_a_restart_that_is_under_way_is_met(world):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        (old,) = world.cluster.lives.values()
        world.cluster.hold_starts = True
        ends = []

        async def again():
            try:
                ends.append(await restart(caller))
            except Refused as error:
                ends.append(error.rule)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(again)
            await until(lambda: len(world.cluster.lives) == 2 and world.cluster.lives[newer(world, old)].pods)
            with pytest.raises(Refused) as caught:
                await caller.ask("restart", RestartBody(plan_only=True), RestartPlan)
            assert caught.value.rule == "not-serving"
            first = parts.pods.get(caller.ref.channel).generation
            nursery.start_soon(again)
            await until(lambda: parts.pods.get(caller.ref.channel).generation > first)
            world.cluster.release_starts()
        assert "generation" in ends  # the newer one has the word
        ((plan, _, statement),) = (one for one in ends if one != "generation")
        assert plan is None
        assert statement.generation == parts.pods.get(caller.ref.channel).generation
        assert parts.pods.get(caller.ref.channel).version == 2


async def test_an_older_request_and_a_stranger_are_refused(world):
    async with serving(world) as (parts, caller):
        newest = parts.pods.get(caller.ref.channel).generation
        with pytest.raises(Refused) as caught:
            await restart(caller, generation=newest)
        assert caught.value.rule == "generation"
        assert parts.pods.get(caller.ref.channel).generation == newest
        with pytest.raises(Refused) as caught:
            await restart(Caller(world, caller.address))
        assert caught.value.rule == "unknown-pod"


async def test_a_pod_that_does_not_serve_is_refused(world):
    async with serving(world) as (parts, caller):
        await parts.pods.change(caller.ref.channel, phase=Phase.GONE)  # which no look brings back
        with pytest.raises(Refused) as caught:
            await restart(caller)
        assert caught.value.rule == "not-serving"


async def test_a_deploy_that_comes_while_a_restart_is_looked_at_wins(world, monkeypatch):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        stop, overtaken = parts.workers.stop, []

        async def stop_slowly(channel):
            await stop(channel)
            if not overtaken:
                overtaken.append(channel)
                await caller.provision(pay=False)

        monkeypatch.setattr(parts.workers, "stop", stop_slowly)
        with pytest.raises(Refused) as caught:
            await restart(caller)
        assert (caught.value.rule, len(overtaken)) == ("generation", 1)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.pods.get(caller.ref.channel).live
