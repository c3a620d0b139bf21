# SPDX-License-Identifier: Apache-2.0
"""Volumes that outlive their pod: all else goes, they are billed alone, and a deploy takes them up again."""

import pytest
import trio

from tests.examples import some
from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import SecretValue
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import Usage
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.keys.boot import BootKeys

KEPT = {"name": "data", "persistent": {"size": "8Mi", "retain": True}}
GOES = {"name": "cache", "persistent": {"size": "4Mi"}}
PURGE = DeleteBody(purge=True)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def with_volumes(*volumes):
    secret = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
    return manifest_of(volumes=[secret, *volumes], scale={"max": 1, "idleAfter": "5s"})


async def served(world, address, *volumes):
    """A caller whose pod with *volumes* serves."""
    caller = Caller(world, address)
    caller.manifest = with_volumes(*(volumes or (KEPT, GOES)))
    await caller.pay(10**9)
    await caller.provision()
    return caller


def left(world):
    """Kinds and names of what the only namespace holds."""
    [life] = world.cluster.lives.values()
    return set(life.objects)


async def test_all_but_volumes_that_outlive_the_pod_goes(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address)
        status = await caller.ask("delete", DeleteBody(), PodStatus)
        assert (status.phase, status.replicas, status.services) == ("retained", 0, {})
        assert status.outliving == {"data": 8}
        assert "volumes are kept" in status.reason
        kinds = {kind for kind, _ in left(world)}
        assert kinds == {"Namespace", "ResourceQuota", "ServiceAccount", "PersistentVolumeClaim"}
        assert ("PersistentVolumeClaim", "data") in left(world)
        assert ("PersistentVolumeClaim", "cache") not in left(world)
        assert not await world.cluster.pods()
        assert in_phase(parts, caller, Phase.RETAINED)


async def test_only_those_volumes_are_billed(world, virtual_time):
    world.terms = {"idle_mib": 512}  # a minimum of pods that can be woken, which this one is not
    async with world.run() as (parts, address):
        caller = await served(world, address)
        world.pass_time(50)
        await caller.ask("delete", DeleteBody(), PodStatus)
        before = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        world.pass_time(100)
        after = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        assert [b - a for a, b in zip(before, after, strict=True)] == [0, 0, 8 * 100, 0, 0]
        status = await caller.ask("status", StatusBody(), PodStatus)
        rate = due(Usage(storage_mib_s=8 * 1000), parts.doors.config.prices)
        assert 0 < status.runway_s < (10**9 + 1) * 1000 // rate


async def test_a_deploy_takes_the_volumes_up_again(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address)
        namespace = parts.pods.get(caller.ref.channel).namespace
        await caller.ask("delete", DeleteBody(), PodStatus)
        caller.manifest = with_volumes({"name": "other", "persistent": {"size": "8Mi"}})
        with pytest.raises(Refused, match="data"):
            await caller.provision()
        caller.manifest = with_volumes(KEPT, GOES)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        assert (record.phase, record.namespace, record.retained) == (Phase.SERVING, namespace, False)
        assert record.size.volume_mib == 12
        assert ("Deployment", "pod") in left(world)


@pytest.mark.parametrize("retained_first", [False, True])
async def test_a_purge_ends_it_all_and_refunds_the_rest(world, retained_first, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address)
        if retained_first:
            await caller.ask("delete", DeleteBody(), PodStatus)
            world.pass_time(100)
            again = await caller.ask("delete", DeleteBody(), PodStatus)  # changes nothing
            assert again.phase == "retained"
        world.pass_time(10)
        done = await caller.ask("delete", PURGE, Done)
        assert done.transaction is not None
        assert not world.cluster.lives
        assert await world.chain.channel(world.owner, caller.ref.channel) is None
        assert in_phase(parts, caller, Phase.GONE)


async def test_a_pod_without_such_volumes_is_removed_and_refunded(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address, GOES)
        world.pass_time(10)
        await caller.ask("delete", DeleteBody(), Done)
        assert in_phase(parts, caller, Phase.GONE)
        assert not world.cluster.lives


async def test_what_money_kept_goes_after_the_grace_period_that_a_top_up_ends(world, virtual_time):
    world.terms = {"grace_s": 1000}
    async with world.run() as (parts, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
        lasts = (await caller.ask("status", StatusBody(), PodStatus)).runway_s
        world.pass_time(lasts - 5)
        await until(lambda: parts.pods.get(caller.ref.channel).warned)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "funds-warning" in [event.reason for event in status.events]
        world.pass_time(5)
        await until(lambda: parts.pods.get(caller.ref.channel).stopped_at is not None)
        assert in_phase(parts, caller, Phase.RETAINED)
        assert ("PersistentVolumeClaim", "data") in left(world)
        await world.chain.top_up(caller.key, world.owner, caller.ref.channel, 10**6)
        world.pass_time(1)
        await until(lambda: parts.pods.get(caller.ref.channel).stopped_at is None)
        world.pass_time((await caller.ask("status", StatusBody(), PodStatus)).runway_s)
        await until(lambda: parts.pods.get(caller.ref.channel).stopped_at is not None)
        world.pass_time(1001)
        await until(lambda: in_phase(parts, caller, Phase.GONE))
        assert not world.cluster.lives


async def test_it_outlives_the_daemon(world, virtual_time):
    async with world.run() as (_, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
    world.pass_time(10)
    async with world.run() as (parts, address):
        caller.address = address
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.outliving) == ("retained", {"data": 8})
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)


async def test_a_failed_deploy_leaves_the_volumes_as_they_were(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
        world.cluster.failing[parts.pods.get(caller.ref.channel).namespace] = Diagnosis(
            "CrashLoopBackOff", hopeless=True
        )
        caller.manifest = with_volumes(KEPT, {"name": "more", "persistent": {"size": "2Mi"}})
        with pytest.raises(Refused):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.RETAINED))
        claims = {name for kind, name in left(world) if kind == "PersistentVolumeClaim"}
        assert claims == {"data"}
        record = parts.pods.get(caller.ref.channel)
        assert (record.size.volume_mib, record.reason != "") == (8, True)


async def test_it_outlives_the_key_unbilled_and_a_deploy_goes_on(world, virtual_time):
    """As of any pod that a reboot found: what its dead boot stored is not the next one's to bill."""
    async with world.run() as (_, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
    world.keys = BootKeys.generate()
    async with world.run() as (parts, address):
        caller.address = address
        world.pass_time(1000)
        await parts.reconciler.look()
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.outliving) == ("retained", {"data": 8})
        usage = await caller.ask("usage", UsageBody(since=0), UsageReport)
        assert usage.open_usage[2] < 8 * 1000
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "awaiting-key"  # the channel is moved first
        assert ("PersistentVolumeClaim", "data") in left(world)


async def test_an_eviction_takes_the_volumes_too(world, virtual_time):
    async with world.run() as (parts, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
        world.pass_time(10)
        await parts.pods.step(caller.ref.channel, LifecycleEvent.EVICTED, "the operator needs the room")
        await until(lambda: in_phase(parts, caller, Phase.GONE))
        assert not world.cluster.lives


MADE = {"name": "login", "secret": {"generate": {"password": {"length": 24}}}}
BROKEN = Diagnosis("CrashLoopBackOff", hopeless=True)


def made_inside(world, address, *volumes):
    """A caller whose bundle has an empty secret for values that the provider makes."""
    caller = Caller(world, address)
    caller.manifest, sealed = with_volumes(*volumes, MADE), caller.bundle
    empty = SecretValue(name="login", files={})

    def bundle():
        added = [empty] if caller.manifest.made_secrets else []
        return sealed().model_copy(update={"secrets": [*sealed().secrets, *added]})

    caller.bundle = bundle
    return caller


async def test_values_that_were_made_inside_stay_with_the_data(world, virtual_time):
    """Nobody else has them, and what is in the volume may be locked with them."""
    async with world.run() as (_, address):
        caller = made_inside(world, address, KEPT)
        await caller.provision()
        [life] = world.cluster.lives.values()
        before = life.objects["Secret", "login"]["data"]
        await caller.ask("delete", DeleteBody(), PodStatus)
        assert {name for kind, name in left(world) if kind == "Secret"} == {"login"}
        await caller.provision()
        assert life.objects["Secret", "login"]["data"] == before


@pytest.mark.parametrize("deleted", [True, False], ids=["over kept volumes", "as an update"])
async def test_a_version_that_fails_leaves_them_though_it_has_none(world, deleted, virtual_time):
    async with world.run() as (parts, address):
        caller = made_inside(world, address, KEPT)
        await caller.provision()
        [life] = world.cluster.lives.values()
        before = life.objects["Secret", "login"]["data"]
        if deleted:
            await caller.ask("delete", DeleteBody(), PodStatus)
        world.cluster.failing[life.name] = BROKEN
        caller.manifest = with_volumes(KEPT)
        with pytest.raises(Refused):
            await caller.provision()
        del world.cluster.failing[life.name]
        await until(lambda: in_phase(parts, caller, Phase.RETAINED if deleted else Phase.SERVING))
        assert life.objects["Secret", "login"]["data"] == before


def form(kind, length=24):
    return {"name": "login", "secret": {"generate": {"password": {"type": kind, "length": length}}}}


OTHERS = {
    "other type": form("hex"),
    "other length": form("password", 25),
    "other name": {"name": "login", "secret": {"generate": {"cookie": {}}}},
}
"""Each overwrites the Secret of `MADE`. A hex value has the form of a password, and is another one."""


def login(world):
    [life] = world.cluster.lives.values()
    return life.objects["Secret", "login"]["data"]


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
@pytest.mark.parametrize("deleted", [True, False], ids=["over kept volumes", "as an update"])
async def test_a_version_that_fails_loses_no_value_of_another_form(world, deleted, other, virtual_time):
    """What is in the volumes may be locked with it: it is set aside until a newer version serves."""
    async with world.run() as (parts, address):
        caller = made_inside(world, address, KEPT)
        await caller.provision()
        [life] = world.cluster.lives
        before = login(world)
        if deleted:
            await caller.ask("delete", DeleteBody(), PodStatus)
        world.cluster.failing[life] = BROKEN
        caller.manifest = with_volumes(KEPT, other)
        for image in (b"one", b"two"):  # the second overtakes what the first left
            caller.blobs = image_of(image)
            with pytest.raises(Refused):
                await caller.provision()
            await until(lambda: in_phase(parts, caller, Phase.RETAINED if deleted else Phase.SERVING))
        del world.cluster.failing[life]
        if deleted:
            caller.manifest = with_volumes(KEPT, MADE)
            await caller.provision()
            assert ("Secret", "login.v1") not in left(world)
        assert login(world) == before
        caller.manifest = with_volumes(KEPT, other)
        await caller.provision()
        assert login(world) != before
        assert {name for kind, name in left(world) if kind == "Secret"} == {"keys", "login"}


@pytest.mark.parametrize("calls", some(range(1, 22, 3)))
async def test_a_daemon_killed_at_any_step_of_such_a_version_loses_none(world, calls, virtual_time):
    async with world.run() as (parts, address):
        caller = made_inside(world, address, KEPT)
        await caller.provision()
        [life] = world.cluster.lives
        before = login(world)
        world.cluster.failing[life] = BROKEN
        caller.manifest = with_volumes(KEPT, form("hex"))
        most = len(world.cluster.calls) + calls
        with trio.move_on_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(refused, caller)
                await until(lambda: len(world.cluster.calls) >= most)
                nursery.cancel_scope.cancel()
    async with world.run() as (parts, address):
        caller.address = address
        await refused(caller)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert login(world) == before


async def refused(caller):
    with pytest.raises(Refused):
        await caller.provision()


async def test_the_grace_period_begins_once(world, virtual_time):
    """A deploy that fails, over volumes whose money has ended, gives them no second one."""
    world.terms = {"grace_s": 1000}
    async with world.run() as (parts, address):
        caller = await served(world, address)
        await caller.ask("delete", DeleteBody(), PodStatus)
        world.pass_time((await caller.ask("status", StatusBody(), PodStatus)).runway_s)
        await until(lambda: parts.pods.get(caller.ref.channel).stopped_at is not None)
        record = parts.pods.get(caller.ref.channel)
        since, world.cluster.failing[record.namespace] = record.stopped_at, BROKEN
        world.pass_time(500)
        with pytest.raises(Refused):
            await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.RETAINED))
        assert parts.pods.get(caller.ref.channel).stopped_at == since
        world.pass_time(501)
        await until(lambda: in_phase(parts, caller, Phase.GONE))
