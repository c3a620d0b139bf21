# SPDX-License-Identifier: Apache-2.0
"""`stop` and `start`: a pod without replicas until its publisher wants it, whatever happens meanwhile."""

import pytest
import trio

from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.reboots import DOWN_S, SERVED_S, rotate
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import (
    DeleteBody,
    PodStatus,
    RestartBody,
    RestartPlan,
    StartBody,
    StatusBody,
    StopBody,
)
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeRefusal
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.server.exec import replica_for

KEPT = {"name": "data", "persistent": {"size": "8Mi", "retain": True}}
SECRET = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.chain.operators.add((made.owner, address_of(made.operator_key)))
    return made


async def stop(caller, **how):
    return await caller.ask("stop", StopBody(), PodStatus, **how)


async def start(caller, **how):
    return await caller.ask("start", StartBody(), PodStatus, **how)


async def status(caller):
    return await caller.ask("status", StatusBody(), PodStatus)


async def empty(world):
    return not await world.cluster.pods()


async def asked(parts, caller):
    """What the activator is told when a request waits for the pod."""
    record = parts.pods.get(caller.ref.channel)
    slot = min(parts.doors.facade.slots_of(record.label).values())
    return await parts.autoscaler.answer_wake(slot)


async def parked(world, parts, caller):
    """It has no replica, says so, and nobody wakes it."""
    await until(lambda: empty(world))
    found = await status(caller)
    answer = await asked(parts, caller)
    assert (found.phase, found.replicas) == ("parked", 0)
    assert isinstance(answer, WakeRefusal)
    assert answer.parked
    return await empty(world)


async def runs(parts, caller):
    """A request wakes it, or finds it awake."""
    return isinstance(await asked(parts, caller), WakeAddress)


async def test_nobody_wakes_it_until_its_publisher_does(world):
    async with serving(world) as (parts, caller):
        before = parts.pods.get(caller.ref.channel)
        found = await stop(caller)
        assert (found.phase, found.parked_at) == ("parked", int(world.now))
        assert "its publisher has stopped" in found.reason
        assert await parked(world, parts, caller)
        after = parts.pods.get(caller.ref.channel)
        assert (after.namespace, after.exposures) == (before.namespace, before.exposures)
        found = await start(caller)
        assert (found.phase, found.parked_at) == ("serving", None)
        assert await runs(parts, caller)
        told = [event.reason for event in (await status(caller)).events]
        assert [reason for reason in told if "parked" in reason] == ["parked", "unparked"]


async def test_both_may_be_repeated(world):
    async with serving(world) as (_, caller):
        assert (await start(caller)).phase == "serving"  # nothing to do
        first = (await stop(caller)).parked_at
        world.pass_time(5)
        assert (await stop(caller)).parked_at == first
        await start(caller)
        await start(caller)
        told = [event.reason for event in (await status(caller)).events]
        assert [reason for reason in told if "parked" in reason] == ["parked", "unparked"]


async def test_a_pod_of_a_fixed_size_comes_up_without_a_request(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"min": 2, "max": 2})
        await caller.provision()
        await stop(caller)
        assert await parked(world, parts, caller)
        await start(caller)

        async def two():
            return len(await world.cluster.pods()) == 2

        await until(two)


async def test_it_pays_for_what_is_kept_alone(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[SECRET, KEPT], scale={"max": 1, "idleAfter": "5s"})
        await caller.provision()
        world.pass_time(50)
        await stop(caller)
        assert await parked(world, parts, caller)
        before = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        world.pass_time(100)
        after = (await caller.ask("usage", UsageBody(since=0), UsageReport)).open_usage
        size = parts.pods.get(caller.ref.channel).size
        kept = (size.volume_mib + size.image_mib) * 100
        assert [b - a for a, b in zip(before, after, strict=True)] == [0, 0, kept, 0, 0]


async def test_it_stays_so_over_a_daemon_that_was_killed(world, virtual_time):
    async with serving(world) as (_, caller):
        await stop(caller)
    async with world.run() as (parts, address):
        caller.address = address
        assert await parked(world, parts, caller)
        await start(caller)
        assert await runs(parts, caller)


async def test_killed_before_its_replicas_were_gone_the_next_daemon_ends_them(world, virtual_time):
    async with serving(world) as (parts, caller):
        await parts.pods.change(caller.ref.channel, parked_at=int(world.now))  # and no more than that
        assert not await empty(world)
    async with world.run() as (parts, address):
        caller.address = address
        await until(lambda: empty(world))
        assert await parked(world, parts, caller)


async def test_an_update_is_proven_and_then_it_is_stopped_as_before(world, virtual_time):
    async with serving(world) as (parts, caller):
        since = (await stop(caller)).parked_at
        await caller.provision()  # the same again: nothing runs for it
        assert await parked(world, parts, caller)
        caller.blobs = image_of(b"second")
        _, steps, _ = await caller.provision()
        assert "start" in steps
        assert await parked(world, parts, caller)
        found = await status(caller)
        assert (found.version, found.parked_at) == (2, since)
        await start(caller)
        assert await runs(parts, caller)


@pytest.mark.parametrize("beside", [False, True])
async def test_an_update_that_fails_leaves_it_stopped(world, beside, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        if not beside:
            caller.manifest = manifest_of(volumes=[SECRET, KEPT], scale={"max": 1})
        await caller.provision()
        await stop(caller)
        assert await parked(world, parts, caller)
        (old,) = world.cluster.lives
        crash = Diagnosis("web: CrashLoopBackOff", hopeless=True)
        world.cluster.failing = Except(old, crash) if beside else {old: crash}
        caller.blobs = image_of(b"broken")
        with pytest.raises(Refused):
            await caller.provision()
        world.cluster.failing = {}
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert await parked(world, parts, caller)
        assert (await status(caller)).version == 1


class Except(dict):
    """Nothing starts but in one namespace."""

    def __init__(self, good, diagnosis):
        super().__init__()
        self._good, self._diagnosis = good, diagnosis

    def __contains__(self, namespace):
        return namespace != self._good

    def __getitem__(self, namespace):
        return self._diagnosis

    def get(self, namespace, default=None):
        return default if namespace == self._good else self._diagnosis


async def test_money_that_ends_meanwhile_and_comes_again_does_not_start_it(world, virtual_time):
    world.terms = {"grace_s": 1000}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[SECRET, KEPT], scale={"max": 1, "idleAfter": "5s"})
        await caller.pay(10**6)
        await caller.provision()
        await stop(caller)
        world.pass_time((await status(caller)).runway_s + 1)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        found = await status(caller)
        assert found.phase == "stopped"
        assert found.parked_at is not None
        await world.chain.top_up(caller.key, world.owner, caller.ref.channel, 10**8)
        world.pass_time(1)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert await parked(world, parts, caller)


async def test_started_without_money_it_waits_for_money_alone(world, virtual_time):
    async with serving(world) as (parts, caller):
        await stop(caller)
        await parts.pods.change(caller.ref.channel, phase=Phase.STOPPED, stopped_at=int(world.now))
        found = await start(caller)
        assert found.parked_at is None
        assert found.phase in ("stopped", "serving")  # it is paid for: a look may have come in between
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert await runs(parts, caller)


async def test_it_stays_so_over_a_reboot_of_the_machine(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.old_meter = world.keys.meter_address
        await stop(caller)
        world.pass_time(SERVED_S)
        await parts.meter.observe()
    world.pass_time(DOWN_S)
    world.keys = BootKeys.generate()
    async with world.run() as (parts, address):
        caller.address = address
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        with pytest.raises(Refused) as caught:
            await start(caller)
        assert caught.value.rule == "not-serving"
        await rotate(world, caller)
        await caller.provision()
        assert await parked(world, parts, caller)


async def test_a_deleted_pod_is_stopped_no_more(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[SECRET, KEPT], scale={"max": 1, "idleAfter": "5s"})
        await caller.provision()
        await stop(caller)
        assert (await caller.ask("delete", DeleteBody(), PodStatus)).parked_at is None
        with pytest.raises(Refused) as caught:
            await stop(caller)
        assert caught.value.rule == "not-serving"
        await caller.provision()
        assert (await status(caller)).phase == "serving"
        assert await runs(parts, caller)
        await stop(caller)
        world.pass_time(10)
        await caller.ask("delete", DeleteBody(purge=True), Done)
        assert in_phase(parts, caller, Phase.GONE)


async def test_what_is_stopped_is_not_started_anew(world):
    async with serving(world) as (_, caller):
        await stop(caller)
        with pytest.raises(Refused) as caught:
            await caller.ask("restart", RestartBody(plan_only=True), RestartPlan)
        assert caught.value.rule == "parked"


async def test_an_older_request_and_a_stranger_are_refused(world):
    async with serving(world) as (parts, caller):
        newest = parts.pods.get(caller.ref.channel).generation
        for ask in (stop, start):
            with pytest.raises(Refused) as caught:
                await ask(caller, generation=newest)
            assert caught.value.rule == "generation"
            with pytest.raises(Refused) as caught:
                await ask(Caller(world, caller.address))
            assert caught.value.rule == "unknown-pod"
        assert parts.pods.get(caller.ref.channel).parked_at is None


async def test_stopped_in_an_update_it_stops_once_that_is_proven(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.cluster.hold_starts = True
        caller.blobs = image_of(b"second")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
            assert (await stop(caller)).parked_at is not None
            world.cluster.release_starts()
        assert await parked(world, parts, caller)
        assert (await status(caller)).version == 2


async def test_beside_a_version_under_proof_the_one_before_stays_stopped(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"min": 1, "max": 1})
        await caller.provision()
        await stop(caller)
        assert await parked(world, parts, caller)
        (old,) = world.cluster.lives
        world.cluster.hold_starts = True
        caller.blobs = image_of(b"second")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
            await stop(caller)
            before = parts.autoscaler.pod_scaler(caller.ref.channel)
            assert before.published.namespace == old
            assert (before.state.limits.parked, before.state.replicas) == (True, 0)
            world.cluster.release_starts()
        assert await parked(world, parts, caller)


async def test_a_request_that_somebody_sends_again_is_refused(world):
    async with serving(world) as (parts, caller):
        private, request = caller.signed("stop", StopBody())
        async with caller.talk(private, request) as (_, reply):
            await reply(PodStatus)
        await start(caller)
        with pytest.raises(Refused) as caught:
            async with caller.talk(private, request) as (_, reply):
                await reply(PodStatus)
        assert caught.value.rule == "replay"
        assert parts.pods.get(caller.ref.channel).parked_at is None


async def test_stopped_before_it_ever_ran_it_is_proven_first(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        world.cluster.hold_starts = True
        async with trio.open_nursery() as nursery:
            nursery.start_soon(caller.provision)
            await until(lambda: in_phase(parts, caller, Phase.STARTING))
            assert (await stop(caller)).phase == "starting"
            world.cluster.release_starts()
        assert await parked(world, parts, caller)
        assert (await status(caller)).version == 1


@pytest.mark.parametrize("replica", [None, "0", "pod-0"])
def test_a_command_is_told_that_it_is_stopped(replica):
    with pytest.raises(Refused) as caught:
        replica_for(pod_record(phase=Phase.SERVING, parked_at=5), [], replica)
    assert caught.value.rule == "parked"
