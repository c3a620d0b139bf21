# SPDX-License-Identifier: Apache-2.0
"""A volume that is to be larger: refused where it cannot be, grown where it can, and billed as it is."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.scaler.types import ScalePhase, SleepAsked
from trustedpods.provider.core.volumes.growth import StoredVolume
from trustedpods.provider.pods.volumes import PodVolumes

KEYS = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def disk(mib, of="growing", **more):
    return {"name": "data", "persistent": {"size": f"{mib}Mi", "storageClassName": of, **more}}


def with_disk(mib, of="growing", **spec):
    return manifest_of(volumes=[KEYS, disk(mib, of)], **{"scale": {"max": 1}, **spec})


def stateful(mib):
    return with_disk(mib, workload="stateful", replicas=2, scale={})


async def served(world, address, manifest):
    caller = Caller(world, address)
    caller.manifest = manifest
    await caller.pay(10**9)
    await caller.provision()
    return caller


async def billed_in(world, caller, seconds):
    """MiB x seconds of storage that are billed for the next *seconds*."""
    before = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage[2]
    world.pass_time(seconds)
    return (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage[2] - before


def requests(world):
    [life] = world.cluster.lives.values()
    return {
        name: one["spec"]["resources"]["requests"]["storage"]
        for (kind, name), one in life.objects.items()
        if kind == "PersistentVolumeClaim"
    }


async def test_a_larger_size_grows_the_volume_where_it_is(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        [life] = world.cluster.lives
        caller.manifest = with_disk(64)
        await caller.provision()
        assert list(world.cluster.lives) == [life]
        assert requests(world) == {"data": "64Mi"}
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 64


async def test_replicas_with_volumes_of_their_own_all_grow(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, stateful(16))
        assert requests(world) == {"data-pod-0": "16Mi", "data-pod-1": "16Mi"}
        caller.manifest = stateful(24)
        await caller.provision()
        assert requests(world) == {"data-pod-0": "24Mi", "data-pod-1": "24Mi"}
        record = parts.pods.get(caller.ref.channel)
        assert record.size.volume_mib == 48
        assert record.outliving == {"data-pod-0": 24, "data-pod-1": 24}


@pytest.mark.parametrize("of", [with_disk, stateful])
async def test_a_class_that_cannot_is_named_before_anything_changes(world, of, virtual_time):
    world.cluster.classes["growing"] = False
    async with world.run() as (parts, address):
        caller = await served(world, address, of(16))
        before = parts.pods.get(caller.ref.channel)
        caller.manifest = of(17)
        with pytest.raises(Refused, match="16 MiB of the storage class growing, whose volumes cannot grow"):
            await caller.provision()
        assert parts.pods.get(caller.ref.channel) == before


@pytest.mark.parametrize("of", [with_disk, stateful])
async def test_nothing_gets_smaller(world, of, virtual_time):
    async with world.run() as (_, address):
        caller = await served(world, address, of(16))
        caller.manifest = of(15)
        with pytest.raises(Refused, match="none gets smaller") as caught:
            await caller.provision()
        assert "copy the data" in str(caught.value.hint)


async def test_the_bill_follows_the_size_from_when_it_is_granted(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        caller.manifest = with_disk(1016)
        world.cluster.expands = False
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: requests(world) == {"data": "1016Mi"})
            assert await billed_in(world, caller, 10) == await billed_in(world, caller, 10) < 1000 * 10
            kept = parts.pods.get(caller.ref.channel).size.volume_mib
            world.cluster.expands = True
        assert kept == 16
        assert await billed_in(world, caller, 10) > 1016 * 10
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 1016


async def test_a_driver_that_does_not_do_it_ends_the_update_and_is_not_billed(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        world.cluster.expands = False
        caller.manifest = with_disk(32)
        with pytest.raises(Refused, match="data has 16 of 32 MiB: no room in the array") as caught:
            await caller.provision()
        assert caught.value.rule == "volumes"
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 16


async def test_what_a_failed_update_made_larger_stays_so_and_is_billed(world, virtual_time):
    """No volume gets smaller: else a version that never ran would leave room that nobody pays for."""
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        [life] = world.cluster.lives
        world.cluster.failing[life] = Diagnosis("it crashes", hopeless=True)
        caller.manifest = with_disk(64)
        with pytest.raises(Refused):
            await caller.provision()
        del world.cluster.failing[life]
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert requests(world) == {"data": "64Mi"}
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 64
        caller.manifest = with_disk(16, scale={"max": 1, "idleAfter": "9s"})
        await caller.provision()
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 64


async def test_volumes_of_a_deleted_pod_grow_with_the_next_deploy(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, stateful(16))
        await caller.ask("delete", DeleteBody(), PodStatus)
        caller.manifest = stateful(20)
        await caller.provision()
        assert set(requests(world).values()) == {"20Mi"}
        status = await caller.ask("delete", DeleteBody(), PodStatus)
        assert status.outliving == {"data-pod-0": 20, "data-pod-1": 20}
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 40


async def broken(world, caller, manifest):
    """A deploy of *manifest* that fails when its volumes are as large as it wants them."""
    [life] = world.cluster.lives
    world.cluster.failing[life] = Diagnosis("it crashes", hopeless=True)
    caller.manifest = manifest
    with pytest.raises(Refused, match="it crashes"):
        await caller.provision()
    del world.cluster.failing[life]


@pytest.mark.parametrize("deleted_first", [True, False])
async def test_an_older_file_takes_up_volumes_of_a_deleted_pod_that_a_failed_version_grew(
    world, deleted_first, virtual_time
):
    """What grew stays and is billed, as of a pod that runs; and nothing is taken for smaller than it was."""
    async with world.run() as (parts, address):
        caller = await served(world, address, stateful(16))
        for step in ("delete", "grow") if deleted_first else ("grow", "delete"):
            if step == "delete":
                await caller.ask("delete", DeleteBody(), PodStatus)
            else:
                await broken(world, caller, stateful(64))
                ends = Phase.RETAINED if deleted_first else Phase.SERVING
                await until(lambda: in_phase(parts, caller, ends))  # noqa: B023 (called in this turn alone)
        await until(lambda: in_phase(parts, caller, Phase.RETAINED))
        assert parts.pods.get(caller.ref.channel).outliving == {"data-pod-0": 64, "data-pod-1": 64}
        assert await billed_in(world, caller, 10) == 128 * 10
        caller.manifest = stateful(15)
        with pytest.raises(Refused, match="has 16 MiB, and 15 in the newer version"):
            await caller.provision()
        caller.manifest = stateful(16)
        await caller.provision()
        assert requests(world) == {"data-pod-0": "64Mi", "data-pod-1": "64Mi"}
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 128


async def test_sleep_waits_for_the_nodes_part_of_a_growth(world, virtual_time):
    """A node does it for a replica that mounts the volume: asleep, the update would fail."""
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        world.cluster.expands, world.cluster.at_node = False, True
        caller.manifest = with_disk(64)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: awake(parts, caller) and requests(world) == {"data": "64Mi"})
            scaler = parts.autoscaler.pod_scaler(caller.ref.channel)
            scaler.feed(SleepAsked())
            await trio.sleep(scaler.state.limits.idle_after + 10)
            assert awake(parts, caller)
            world.cluster.expands = True
        await until(lambda: parts.autoscaler.pod_scaler(caller.ref.channel).state.phase is ScalePhase.ASLEEP)
        assert parts.pods.get(caller.ref.channel).size.volume_mib == 64


def awake(parts, caller):
    scaler = parts.autoscaler.pod_scaler(caller.ref.channel)
    return scaler is not None and scaler.state.phase is ScalePhase.AWAKE and scaler.state.kept_awake


async def test_how_a_volume_is_kept_is_read_from_the_cluster(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, with_disk(16))
        of = PodVolumes(parts.doors, parts.bundles)
        record = parts.pods.get(caller.ref.channel)
        assert await of.stored(record.namespace) == {"data": StoredVolume(16, 16, "growing")}
