# SPDX-License-Identifier: Apache-2.0
"""A start that finds no room waits for what is ending, and is refused where nothing is."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import Caller
from tests.fakes.provider.world import World
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.serving.replica_watch import ROOM_SETTLES_S

REASONS = [
    "FailedCreate: exceeded quota: size",
    "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class Asked:
    """One question of the activator, and its answer once there is one."""

    def __init__(self, parts, slot: int, nursery: trio.Nursery) -> None:
        self.answer: WakeAnswer | None = None
        self.done = trio.Event()
        nursery.start_soon(self._ask, parts, slot)

    async def _ask(self, parts, slot: int) -> None:
        self.answer = await parts.autoscaler.answer_wake(slot)
        self.done.set()


@pytest.mark.parametrize("reason", REASONS)
async def test_room_that_an_ending_replica_holds_is_waited_for(world, virtual_time, reason):
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        (slot,) = parts.doors.facade.slots_of(record.label).values()
        life = world.cluster.lives[record.namespace]
        world.cluster.failing[record.namespace] = Diagnosis(reason, hopeless=True, room=True)
        (pod,) = life.pods.values()
        world.cluster._put(life, replace(pod, ready=False, deleted_at=UnixSeconds(world.cluster.clock)))
        await trio.sleep(1)  # its end has been seen
        asked = Asked(parts, slot, nursery)
        await trio.sleep(3)
        assert asked.answer is None, "it is still ending"
        world.cluster._put(life, life.pods[pod.name], gone=True)
        await trio.sleep(1)
        assert asked.answer is None, "the controllers try again"
        del world.cluster.failing[record.namespace]
        world.cluster._start(life)
        await asked.done.wait()
        assert isinstance(asked.answer, WakeAddress)


@pytest.mark.parametrize("reason", REASONS)
async def test_room_that_nobody_gives_back_is_a_refusal_and_status_says_why(world, virtual_time, reason):
    async with world.run() as (parts, address), trio.open_nursery() as nursery:
        caller = Caller(world, address)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        (slot,) = parts.doors.facade.slots_of(record.label).values()
        life = world.cluster.lives[record.namespace]
        world.cluster.failing[record.namespace] = Diagnosis(reason, hopeless=True, room=True)
        (pod,) = life.pods.values()
        world.cluster._put(life, pod, gone=True)
        await trio.sleep(2 * ROOM_SETTLES_S)
        asked = Asked(parts, slot, nursery)
        await asked.done.wait()
        assert isinstance(asked.answer, WakeRefusal)
        assert reason in asked.answer.error
        assert reason in parts.autoscaler.failure_of(record).reason
