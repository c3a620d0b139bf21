# SPDX-License-Identifier: Apache-2.0
"""Records of pods that ended long ago are in the books alone, until somebody asks about one."""

import pytest

from tests.fakes.provider.caller import Caller, in_phase, serving, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.pods.records import ENDED_IN_MEMORY_S


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def ended(world, parts, caller):
    """The pod is deleted, and as long ago as it takes to be put away."""
    world.pass_time(10)
    await caller.ask("delete", DeleteBody(), Done)
    await until(lambda: in_phase(parts, caller, Phase.GONE))
    world.pass_time(ENDED_IN_MEMORY_S + 1)
    await let_pass(world, 1)
    parts.pods.put_away()


async def test_what_ended_a_day_ago_is_in_the_books_alone_and_is_answered_for(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.pass_time(ENDED_IN_MEMORY_S + 1)
        parts.pods.put_away()
        assert in_phase(parts, caller, Phase.SERVING), "what stands stays"
        await ended(world, parts, caller)
        assert parts.pods.get(caller.ref.channel) is None
        assert [record.phase for record in await parts.pods.every()] == [Phase.GONE]
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.phase == "gone"
        parts.pods.put_away()
        assert in_phase(parts, caller, Phase.GONE), "it was just asked about"
        world.pass_time(ENDED_IN_MEMORY_S + 1)
        parts.pods.put_away()
        assert parts.pods.get(caller.ref.channel) is None


async def test_its_publisher_may_come_back_and_nobody_else(world, virtual_time):
    async with serving(world) as (parts, caller):
        await ended(world, parts, caller)
    async with world.run() as (parts, caller.address):
        assert parts.pods.get(caller.ref.channel) is None, "not after a start either"
        stranger = Caller(world, caller.address)
        with pytest.raises(Refused) as caught:
            await stranger.ask("status", StatusBody(), PodStatus)
        assert caught.value.rule == "unknown-pod"
        with pytest.raises(Refused) as caught:
            await caller.provision(generation=0)
        assert caught.value.rule == "generation"
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)


async def test_what_could_not_be_written_yet_stays(world):
    async with world.run() as (parts, _):
        await parts.pods.put(pod_record(phase=Phase.REMOVING, changed_at=int(world.now)))
        (record,) = parts.pods.standing
        with world.disk.failing():
            await parts.pods.learn(record.channel, phase=Phase.GONE, changed_at=1)
            parts.pods.put_away()
            assert parts.pods.get(record.channel) is not None
        await parts.pods.catch_up()
        parts.pods.put_away()
        assert parts.pods.get(record.channel) is None
