# SPDX-License-Identifier: Apache-2.0
"""A start that finds no room waits for what is ending, and is refused where nothing is."""

from dataclasses import replace
from datetime import timedelta

import pytest
import trio
from cryptography.hazmat.primitives.asymmetric import ec

from tests.fakes.provider.caller import Caller, manifest_of, serving, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import SecretValue
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.facade import certificates
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal
from trustedpods.provider.facade.certificates import Authority, utc
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


OWN = "shop.own.localhost"


def with_certificate(world, caller, made=None):
    """The caller's pod gets a host of its own, with a certificate for it."""
    key, now = ec.generate_private_key(ec.SECP256R1()), made or utc(world.now)
    issued = Authority.make("own", now).issue([OWN], key, now)
    chain, mark, pem = issued.pem.partition(b"-----BEGIN PRIVATE")
    files = {"tls.crt": chain, "tls.key": mark + pem}
    spec = caller.manifest.model_dump(by_alias=True)["spec"]
    web = spec["services"][0] | {"hosts": [OWN], "tls": {"secretName": "own"}}
    secret = {"name": "own", "secret": {"files": {name: name for name in files}}}
    caller.manifest = manifest_of(services=[web], volumes=[*spec["volumes"], secret])
    made = caller.bundle()
    caller.bundle = lambda: made.model_copy(
        update={"secrets": [*made.secrets, SecretValue(name="own", files=files)]}
    )


async def test_a_certificate_that_expired_keeps_no_pod_off_after_a_start(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        with_certificate(world, caller, made=utc(world.now) + timedelta(seconds=60) - certificates.VALID)
        await caller.provision()
    world.pass_time(120)
    async with world.run() as (parts, _):
        assert parts.autoscaler.pod_scaler(caller.ref.channel) is not None
        assert OWN in {host for want in world.facade.wants.values() for host in want.hosts}


async def test_the_owner_reads_why_the_facade_does_not_serve(world, monkeypatch):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.provision()
    with monkeypatch.context() as broken:
        broken.setattr(world.facade, "_publish", lambda _want: Refused("it belongs to another", rule="slots"))
        async with world.run() as (parts, address):
            caller.address = address
            status = await caller.ask("status", StatusBody(), PodStatus)
            assert "not served now: it belongs to another" in status.reason
            broken.undo()
            await until(lambda: parts.autoscaler.pod_scaler(caller.ref.channel) is not None)
            status = await caller.ask("status", StatusBody(), PodStatus)
            assert "not served" not in status.reason


async def test_a_pod_that_the_cluster_is_slow_about_keeps_no_other_from_being_published(world, virtual_time):
    async with serving(world) as (parts, caller):
        other = Caller(world, caller.address)
        await other.provision()
        replicas, never = world.cluster.replicas, trio.Event()
        slow = parts.pods.get(caller.ref.channel)

        async def answered(namespace):
            if namespace == slow.namespace and not never.is_set():
                await never.wait()
            return await replicas(namespace)

        world.cluster.replicas = answered
        for record in (slow, parts.pods.get(other.ref.channel)):
            parts.autoscaler.drop(record.channel)
        await until(lambda: parts.autoscaler.pod_scaler(other.ref.channel) is not None)
        assert parts.autoscaler.pod_scaler(slow.channel) is None
        never.set()
        await until(lambda: parts.autoscaler.pod_scaler(slow.channel) is not None)


async def test_a_scaler_that_was_replaced_while_others_were_read_is_not_read_any_more(world):
    """Its slots are the pod's no longer: they may be another's by then."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        scaler, told = parts.autoscaler.pod_scaler(caller.ref.channel), []
        count = parts.meter.count_traffic

        async def watch(slots_of):
            before = slots_of()
            parts.autoscaler.drop(caller.ref.channel)
            read = await count(slots_of)
            told.append((before, read.readings))
            return read

        parts.autoscaler._meter.count_traffic = watch
        await parts.autoscaler._read_traffic([scaler])
        parts.autoscaler._meter.count_traffic = count
    before, readings = told[0]
    assert list(before) == [caller.ref.channel]
    assert readings == {}
