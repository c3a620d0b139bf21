# SPDX-License-Identifier: Apache-2.0
"""A newer version proves itself beside the one that serves, which nothing of it touches."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.reboots import rotate
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.provider.cluster.applying import OPTIONAL
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core import metering
from trustedpods.provider.core.metering import Reserved
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.facade.activator.wake import WakeAddress, ask
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import ledger

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


@pytest.mark.parametrize("said", ["x" * 100_000, "\ud800"])
async def test_an_owner_has_a_status_whatever_the_cluster_said_of_an_update(world, said):
    async with serving(world) as (parts, caller):
        caller.blobs = image_of(b"broken")
        (old,) = world.cluster.lives
        world.cluster.failing = FailsElsewhere(old, Diagnosis(said, hopeless=True))
        with pytest.raises((Refused, TimeoutError)):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert any(event.reason == "failed" for event in status.events)


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
        caller.manifest = manifest_of(volumes=[keys, volume], scale={"max": 1})
        await caller.provision()
        (life,) = world.cluster.lives
        caller.blobs = image_of(b"second")
        _, steps, _ = await caller.provision()
        assert "drain" in steps
        assert list(world.cluster.lives) == [life]


KEYS = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
OUTSIDE = {"egress": [{"to": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]}]}


def disk(name, size="16Mi"):
    return {"name": name, "persistent": {"size": size}}


def left_in(world):
    (life,) = world.cluster.lives.values()
    return {key for key in life.objects if key[0] in OPTIONAL}


async def test_an_update_in_place_leaves_nothing_of_the_version_before(world):
    """What nobody asks for any more is neither open nor stored: policies, secrets, a failed update's disk."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[KEYS, disk("data")], scale={"max": 1}, network=OUTSIDE)
        await caller.provision()
        before = left_in(world)
        assert ("NetworkPolicy", "egress") in before
        (life,) = world.cluster.lives
        caller.manifest = manifest_of(volumes=[KEYS, disk("data"), disk("more", "1Ti")], scale={"max": 1})
        world.cluster.allocatable = replace(world.cluster.allocatable, storage_mib=1 << 22)
        world.cluster.failing[life] = CRASH
        with pytest.raises(Refused):
            await caller.provision()
        del world.cluster.failing[life]
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert left_in(world) == before
        caller.manifest = manifest_of(volumes=[KEYS, disk("data")], scale={"max": 1})
        await caller.provision()
        assert left_in(world) == before - {("NetworkPolicy", "egress")}


@pytest.mark.parametrize("volumes", [[], [disk("other")], [disk("data", "15Mi")]])
async def test_an_update_keeps_the_pods_volumes(world, volumes):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[KEYS, disk("data")], scale={"max": 1})
        await caller.provision()
        served = parts.pods.get(caller.ref.channel)
        caller.manifest = manifest_of(volumes=[KEYS, *volumes], scale={"max": 1})
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "volumes"
        assert parts.pods.get(caller.ref.channel).request == served.request
        assert in_phase(parts, caller, Phase.SERVING)


async def test_the_books_know_one_life_over_all_versions(world):
    async with serving(world) as (parts, caller):
        first = parts.pods.get(caller.ref.channel)
        caller.blobs = image_of(b"second")
        await caller.provision()
        second = parts.pods.get(caller.ref.channel)
        assert first.namespace != second.namespace
        assert first.life == second.life


PROBED = {
    "containers": [
        manifest_of().model_dump(by_alias=True, exclude_none=True)["spec"]["containers"][0]
        | {"readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 10, "failureThreshold": 4}}
    ]
}
"""A start may take 40 s, and not only the operator's 5."""


@asynccontextmanager
async def under_proof(world, parts, caller):
    """An update whose replica is taken up and not ready yet; yields the life of its version."""
    await awake(world, parts, caller)
    (old,) = world.cluster.lives.values()
    caller.blobs = image_of(b"second")
    world.cluster.hold_starts = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(caller.provision)
        await until(lambda: len(world.cluster.lives) == 2 and world.cluster.lives[newer(world, old)].pods)
        yield world.cluster.lives[newer(world, old)]
        nursery.cancel_scope.cancel()


async def test_a_start_beside_may_take_as_long_as_its_probes_say(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(**PROBED)
        await caller.provision()
        async with under_proof(world, parts, caller) as life:
            await trio.sleep(30)
            assert parts.pods.get(caller.ref.channel).phase is Phase.STARTING
            world.cluster.release_starts()
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.pods.get(caller.ref.channel).namespace == life.name


async def test_a_version_beside_waits_for_room_that_comes_by_itself(world, virtual_time):
    """As a wake-up does: what an ending replica holds is no reason to give up."""
    async with serving(world) as (parts, caller):
        await awake(world, parts, caller)
        (old,) = world.cluster.lives.values()
        (running,) = old.pods.values()
        ending = replace(running, name="ending", uid="ending", ready=False, deleted_at=running.started_at)
        world.cluster._put(old, ending)
        reason = Diagnosis("FailedCreate: exceeded quota: size", hopeless=True, room=True)
        world.cluster.failing = FailsElsewhere(old.name, reason)
        async with under_proof(world, parts, caller) as life:
            await trio.sleep(3)
            assert parts.pods.get(caller.ref.channel).phase is Phase.STARTING
            world.cluster.failing = {}
            world.cluster.release_starts()
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.pods.get(caller.ref.channel).namespace == life.name


async def test_no_second_of_an_update_is_billed_for_two_versions(world):
    """Of a pod of one replica both run for 20 s: in CPU, memory and scratch one of them is the provider's."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"max": 1})
        await caller.provision()
        world.pass_time(10)
        async with under_proof(world, parts, caller) as life:
            (proving,) = life.pods.values()
            world.cluster._put(life, replace(proving, begun=True))
            world.pass_time(20)
            world.cluster.release_starts()
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
        world.pass_time(10)
        await parts.meter.observe()
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
        began, now = min(run.started for run in book.runs), int(world.now)
        size = parts.pods.get(caller.ref.channel).size
        assert len(book.runs) == 2
        assert metering.count(book, began, now).excess_s == 20
        for stretch in metering.stretches(book, began, now):
            assert stretch.billed == Reserved(size.cpu_milli, size.memory_mib, size.scratch_mib)


@pytest.mark.parametrize("proven", [False, True])
async def test_a_reboot_in_the_middle_of_an_update_leaves_one_version(world, proven, virtual_time):
    """Neither of the two opens any more: both go before the publisher's next bundle is applied."""
    async with serving(world) as (parts, caller), under_proof(world, parts, caller) as life:
        if proven:
            world.facade.held[slot_of(world, parts, caller)] = 1  # a request that the switch waits for
            world.cluster.release_starts()
            await until(lambda: parts.pods.get(caller.ref.channel).namespace == life.name)
    world.pass_time(10)
    world.facade.restart()
    world.cluster.hold_starts = False
    world.old_meter, world.keys = world.keys.meter_address, BootKeys.generate()
    world.chain.operators.add((world.owner, address_of(world.operator_key)))
    async with world.run() as (parts, address):
        caller.address = address
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        await rotate(world, caller)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        await until(lambda: list(world.cluster.lives) == [record.namespace])
        assert record.other is None
        assert ("Deployment", "pod") in world.cluster.lives[record.namespace].objects
        assert served_by(world, parts, caller)
