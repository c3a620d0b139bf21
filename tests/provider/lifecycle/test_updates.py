# SPDX-License-Identifier: Apache-2.0
"""A newer version proves itself beside the one that serves, which nothing of it touches."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.facade.activator.wake import WakeAddress, ask

CRASH = Diagnosis("container web ended: exit code 7", hopeless=True)


class FailsElsewhere(dict):
    """What fails in every namespace but one."""

    def __init__(self, good, diagnosis):
        self.good, self.diagnosis = good, diagnosis

    def __contains__(self, namespace):
        return namespace != self.good

    def get(self, namespace, default=None):
        return self.diagnosis if namespace != self.good else default


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def slot_of(world, parts, caller):
    return world.facade.slot_of(f"{parts.pods.get(caller.ref.channel).label}.web")


def served_by(world, parts, caller):
    """Names of the replicas that get requests now."""
    return [pod.name for pod in world.facade.pods.get(slot_of(world, parts, caller), ())]


async def awake(world, parts, caller):
    await until(lambda: served_by(world, parts, caller))
    return served_by(world, parts, caller)


async def test_the_version_before_serves_until_the_newer_one_does(world):
    """Between the two there is no moment in which nobody is served."""
    async with serving(world) as (parts, caller):
        (before,) = await awake(world, parts, caller)
        (old,) = world.cluster.lives.values()
        caller.blobs = image_of(b"second")
        world.cluster.hold_starts = True
        seen = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: len(world.cluster.lives) == 2 and world.cluster.lives[newer(world, old)].pods)
            assert served_by(world, parts, caller) == [before]
            world.cluster.release_starts()
            nursery.start_soon(watch, world, parts, caller, seen)
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
            nursery.cancel_scope.cancel()
        assert all(len(names) == 1 for names in seen)
        assert seen[0] == [before]
        assert served_by(world, parts, caller) != [before]
        assert not any(call.startswith(f"scale {old.name} 0") for call in world.cluster.calls)
        await until(lambda: old.name not in world.cluster.lives)


def newer(world, old):
    return next(name for name in world.cluster.lives if name != old.name)


async def watch(world, parts, caller, seen):
    while True:
        names = served_by(world, parts, caller)
        if not seen or seen[-1] != names:
            seen.append(names)
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("cause", ["crash", "probe"])
async def test_a_broken_version_touches_nothing_that_serves(world, tmp_path, cause):
    async with serving(world) as (parts, caller):
        before = await awake(world, parts, caller)
        (old,) = world.cluster.lives.values()
        record, replicas = parts.pods.get(caller.ref.channel), dict(old.pods)
        caller.blobs = image_of(b"broken")
        if cause == "crash":
            world.cluster.failing = FailsElsewhere(old.name, CRASH)
        else:
            world.ready = False
        with pytest.raises(Refused):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        after = parts.pods.get(caller.ref.channel)
        assert (after.request, after.namespace, after.version) == (record.request, record.namespace, 1)
        assert (after.size, after.scaling, after.other) == (record.size, record.scaling, None)
        assert served_by(world, parts, caller) == before
        assert old.pods == replicas
        await until(lambda: list(world.cluster.lives) == [old.name])
        assert isinstance(await ask(tmp_path / "wake.sock", slot_of(world, parts, caller)), WakeAddress)


@pytest.mark.parametrize("calls", range(0, 40, 3))
async def test_a_daemon_killed_at_any_step_comes_to_one_version(world, calls, virtual_time):
    """After so many calls of the cluster, all of an update is done again or gone on with."""
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        caller.blobs = image_of(b"second")
        most = len(world.cluster.calls) + calls
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(caller.provision)
                await until(lambda: len(world.cluster.calls) >= most)
                nursery.cancel_scope.cancel()
    async with world.run() as (parts, address):
        caller.address = address
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        assert parts.bundles.open(record).bundle == caller.bundle()
        await until(lambda: list(world.cluster.lives) == [record.namespace])
        await until(lambda: parts.pods.get(caller.ref.channel).other is None)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.version) == ("serving", 2)


async def test_an_update_overtaken_in_its_proof_leaves_nothing(world):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        caller.blobs = image_of(b"second")
        world.cluster.hold_starts = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: len(world.cluster.lives) == 2)
            nursery.cancel_scope.cancel()
        world.cluster.hold_starts = False
        caller.blobs = image_of(b"third")
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        await until(lambda: list(world.cluster.lives) == [record.namespace])
        assert parts.bundles.open(record).bundle == caller.bundle()


async def test_a_pod_deleted_in_an_update_leaves_nothing(world, virtual_time):
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        caller.blobs = image_of(b"second")
        world.cluster.hold_starts = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: len(world.cluster.lives) == 2)
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_pass_time, world)
            await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
        assert not world.cluster.lives


async def _pass_time(world):
    while True:
        await trio.sleep(0.5)
        world.pass_time(1)


async def test_a_pod_with_a_volume_is_stopped_before(world):
    """Two versions may not write one volume: it stays where it is, and so does the namespace."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        volume = {"name": "data", "persistent": {"size": "16Mi"}}
        keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
        caller.manifest = manifest_of(volumes=[keys, volume])
        await caller.provision()
        (life,) = world.cluster.lives
        caller.blobs = image_of(b"second")
        _, steps, _ = await caller.provision()
        assert "drain" in steps
        assert list(world.cluster.lives) == [life]


async def test_the_books_know_one_life_over_all_versions(world):
    async with serving(world) as (parts, caller):
        first = parts.pods.get(caller.ref.channel)
        caller.blobs = image_of(b"second")
        await caller.provision()
        second = parts.pods.get(caller.ref.channel)
        assert first.namespace != second.namespace
        assert first.life == second.life
