# SPDX-License-Identifier: Apache-2.0
"""The whole daemon over fakes of its doors, with one pod that may sleep warm."""

from contextlib import asynccontextmanager

import pytest

from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.provider.serving.warm.fake_freezer import FakeFreezer
from trustedpods.provider.core.scaler.types import ScalePhase
from trustedpods.provider.store import ledger

WARM_FOR_S = 60


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, freezer=FakeFreezer())


@asynccontextmanager
async def running(world, amount=10**9):
    """The daemon with one pod that may sleep warm, and so much in its channel."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(
            scale={"max": 1, "idleAfter": "5s", "sleep": "warm", "warmFor": f"{WARM_FOR_S}s"}
        )
        await caller.pay(amount)
        await caller.provision(pay=False)
        yield parts, caller, parts.autoscaler.pod_scaler(caller.ref.channel)


async def asleep(world, pod_scaler):
    """Wait until its replica is frozen; its uid."""
    await until(lambda: pod_scaler.state.phase is ScalePhase.WARM and world.freezer.frozen())
    (uid,) = world.freezer.frozen()
    return uid


async def the_freezes(parts, caller):
    return (await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)).freezes


async def ended(parts, caller):
    return all(one.ended is not None for one in await the_freezes(parts, caller))
