# SPDX-License-Identifier: Apache-2.0
"""A daemon on another node takes over: what runs is reached at that node's facade, and nothing else is."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.facade import FakeFacade
from tests.fakes.provider.caller import Caller, in_phase, manifest_of, until
from tests.fakes.provider.full_store import let_pass
from tests.fakes.provider.reboots import rotate
from tests.fakes.provider.world import POOLS, World
from tests.provider.daemon.test_leader import beside
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.traffic import PodAddress
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeRefusal
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import ServiceSpec
from trustedpods.provider.serving.running_on.follower import LOOK_EVERY_S, RunningOn
from trustedpods.provider.store import ledger

WEB = {
    "name": "web",
    "expose": "http",
    "ports": [{"port": 80, "targetPort": 8080}],
    "limits": {"connections": 7, "bodySize": "1Mi"},
}
RAW = {"name": "raw", "expose": "tcp", "ports": [{"port": 8080}]}
ALWAYS = {"min": 1, "max": 1}
"""Time jumps while PostgreSQL is waited for: a pod that may sleep would, and then it does not run on."""

A_LONG_TIME_S = 3600
"""More than the end of a pod and the blocks of its last transaction take."""

PASSES_S = LOOK_EVERY_S + 2
"""After this the follower has looked."""

GONE = PodAddress("pod-of-an-earlier-time", "10.9.9.9", 8080)


@pytest.fixture
async def first(postgres, tmp_path, virtual_time):
    """The daemon's world before the take-over; its caller's pod serves a web page and a port of its own."""
    with postgres.database() as url:
        world = World(tmp_path / "1", database=url)
        world.chain.operators.add((world.owner, address_of(world.operator_key)))
        async with world.run() as (parts, address):
            other = Caller(world, address)  # has the first port of tcp, and is gone by the take-over
            other.manifest = manifest_of(services=[RAW])
            await other.provision()
            caller = Caller(world, address)
            caller.manifest = manifest_of(services=[WEB, RAW], scale=ALWAYS)
            await caller.provision()
            await until(lambda: in_phase(parts, caller, Phase.SERVING))
            await parts.pods.step(other.ref.channel, LifecycleEvent.FUNDS_OUT, "no money")
            await parts.meter.observe()
        yield world, caller


def elsewhere(world, folder):
    """A daemon on another node, whose facade has never heard of any pod."""
    made = beside(world, folder)
    made.facade, made.old_meter, made.operator_key = (
        FakeFacade(POOLS),
        world.keys.meter_address,
        world.operator_key,
    )
    return made


def record_of(parts, caller):
    return parts.pods.get(caller.ref.channel)


def led(world, label):
    """What the facade serves of a pod, by the services' names."""
    return {
        key.partition(".")[2]: world.facade.wants[slot] for key, slot in world.facade.slots_of(label).items()
    }


async def alive(world, parts, caller):
    """Where the pod's replicas are that take requests."""
    views = await world.cluster.pods(record_of(parts, caller).namespace)
    return {(view.name, view.ip) for view in views if view.ready}


def told(specs):
    return [{(pod.name, pod.ip) for pod in spec.pods} for spec in specs.values()]


async def test_another_nodes_facade_leads_to_what_runs_at_once(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        record = record_of(parts, caller)
        assert record.runs_on
        specs, here = led(second, record.label), await alive(second, parts, caller)
        assert here
        assert told(specs) == [here, here]
        web, before = specs["web"], led(world, record.label)["web"]
        assert (web.hosts, web.limits, web.pods[0].port) == (before.hosts, before.limits, 8080)
        port = record.exposures["raw"].port
        (slot,) = [at for key, at in second.facade.slots_of(record.label).items() if key.endswith(".raw")]
        assert parts.doors.config.facade.tcp_port(slot) == port  # what people were told still leads there
        assert set(second.facade.slots_by_pod()) == {record.label}


async def test_what_this_facade_held_from_an_earlier_time_is_not_served(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        label = record_of(parts, caller).label
    third = elsewhere(world, tmp_path / "3")
    await third.facade.publish_all(
        [ServiceSpec(f"{label}.web", ("old.localhost",)), ServiceSpec("gone.web", ())]
    )
    for slot in list(third.facade.wants):
        await third.facade.set_pods(slot, [GONE])
    async with third.run() as (parts, _address):
        assert GONE not in {pod for want in third.facade.wants.values() for pod in want.pods}
        assert set(third.facade.slots_by_pod()) == {label}
        assert "old.localhost" not in third.facade.table.hosts


async def test_a_replica_that_moves_is_followed_once_it_answers(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        record, second.ready = record_of(parts, caller), False
        before = await alive(second, parts, caller)
        second.cluster.lose_node(record.namespace, int(second.now))
        await until(lambda: told(led(second, record.label)) == [set(), set()])  # the old one is to end
        await trio.sleep(PASSES_S)
        assert told(led(second, record.label)) == [set(), set()]
        second.ready = True
        after = await alive(second, parts, caller) - before
        await until(lambda: told(led(second, record.label)) == [after, after])


async def test_a_cluster_that_does_not_answer_takes_nothing_away(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        label, here = record_of(parts, caller).label, await alive(second, parts, caller)
        second.cluster.unreachable = True
        await trio.sleep(PASSES_S)
        assert told(led(second, label)) == [here, here]
        second.cluster.unreachable = False


async def test_whom_the_activator_asks_for_is_led_to_its_replica_and_never_started(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        record = record_of(parts, caller)
        asked = RunningOn(parts.doors, parts.pods, parts.meter, parts.autoscaler)
        await asked.take_over()
        slot = min(second.facade.slots_of(record.label).values())
        ((_name, ip),) = await alive(second, parts, caller)
        assert await asked.answer_wake(slot) == WakeAddress(ip, 8080, slot)
        second.cluster.lives[record.namespace].pods.clear()
        await asked.take_over()
        assert isinstance(await asked.answer_wake(slot), WakeRefusal)
        assert second.cluster.lives[record.namespace].pods == {}


async def test_only_what_passes_here_is_billed_though_others_passed_before(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    second.facade.traffic = dict.fromkeys(range(POOLS.total), (9, 10**6, 10**6))
    second.facade.boots = 7
    async with second.run() as (parts, _address):
        record = record_of(parts, caller)
        slots = sorted(second.facade.slots_of(record.label).values())
        await trio.sleep(PASSES_S)
        second.facade.traffic[slots[0]] = (10, 10**6 + 50, 10**6 + 70)
        await trio.sleep(PASSES_S)
        book = await parts.doors.store.read(ledger.load_ledger, record.channel, 0)
        assert [(one.ingress_bytes, one.egress_bytes) for one in book.traffic] == [(50, 70)]


async def test_a_release_takes_the_old_way_and_leads_to_the_new_replica(first, tmp_path):
    world, caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, address):
        caller.world, caller.address = second, address
        before = await alive(second, parts, caller)
        second.pass_time(30)
        await parts.meter.observe()
        await rotate(second, caller)
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)
        after = await alive(second, parts, caller)
        assert not before & after
        label = record_of(parts, caller).label
        await until(lambda: told(led(second, label)) == [after, after])


async def test_books_of_an_older_daemon_do_not_say_the_way_and_what_is_there_stays(first, tmp_path):
    world, caller = first
    same = beside(world, tmp_path / "2")
    async with world.run() as (parts, _address):
        record = record_of(parts, caller)
        older = {name: replace(one, way=None) for name, one in record.exposures.items()}
        await parts.pods.change(record.channel, exposures=older)
    before = led(world, record.label)
    async with same.run() as (parts, _address):
        assert led(same, record.label) == before


async def test_a_cluster_that_cannot_be_listed_ends_the_start(first, tmp_path):
    world, _caller = first
    second = elsewhere(world, tmp_path / "2")
    async with second.run() as (parts, _address):
        asked = RunningOn(parts.doors, parts.pods, parts.meter, parts.autoscaler)
        second.cluster.unreachable = True
        with pytest.raises(NetworkFailure):
            await asked.take_over()
        second.cluster.unreachable = False


async def test_who_had_the_hosts_and_the_port_here_in_an_earlier_time_has_them_no_more(first, tmp_path):
    """The lease was given back, so this facade did not rest; its labels are of pods that are gone."""
    world, caller = first
    second, web = elsewhere(world, tmp_path / "2"), led(world, label_in(world, "web"))["web"]
    slots = {key.partition(".")[2]: at for key, at in world.facade.labels.items() if key.endswith(".raw")}
    stale = [
        ServiceSpec("gone.web", web.hosts),
        ServiceSpec("gone.raw", (), protocol=SlotProtocol.TCP, wished=slots["raw"]),
    ]
    await second.facade.publish_all(stale)
    async with second.run() as (parts, _address):
        record = record_of(parts, caller)
        specs, here = led(second, record.label), await alive(second, parts, caller)
        assert (told(specs), specs["web"].hosts) == ([here, here], web.hosts)
        (slot,) = [at for key, at in second.facade.slots_of(record.label).items() if key.endswith(".raw")]
        assert parts.doors.config.facade.tcp_port(slot) == record.exposures["raw"].port


async def test_a_daemon_that_returns_has_its_pods_ports_before_those_of_pods_that_are_gone(
    tmp_path, virtual_time
):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        ended, caller = Caller(world, address), Caller(world, address)
        ended.manifest = caller.manifest = manifest_of(services=[RAW], scale=ALWAYS)
        for one in (ended, caller):
            await one.provision()
            await until(lambda one=one: in_phase(parts, one, Phase.SERVING))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(let_pass, world, A_LONG_TIME_S)
            await ended.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
        assert in_phase(parts, ended, Phase.GONE)
        port, gone = record_of(parts, caller).exposures["raw"].port, record_of(parts, ended).label
    ((_key, slot),) = world.facade.labels.items()
    assert await world.facade.withdraw(slot)
    left = [ServiceSpec(f"{gone}.raw", (), protocol=SlotProtocol.TCP, wished=slot)]
    await world.facade.publish_all(left)
    async with world.run() as (parts, _address):
        record = record_of(parts, caller)
        assert record.exposures["raw"].port == port
        assert world.facade.slots_of(record.label) == {f"{record.label}.raw": slot}
        assert set(world.facade.slots_by_pod()) == {record.label}


def label_in(world, service):
    """Whose service that is: one pod has it."""
    (label,) = {key.partition(".")[0] for key in world.facade.labels if key.endswith(f".{service}")}
    return label


class FailsForSome(FakeFacade):
    """Refuses whatever is said of the slots in `bad`."""

    bad = frozenset()

    async def stats(self, wanted=None):
        if wanted is not None and self.bad & set(wanted):
            raise Refused("no such backend", rule="haproxy")
        return await super().stats(wanted)


async def test_a_pod_that_cannot_be_followed_keeps_no_other_from_it(first, tmp_path):
    world, caller = first
    async with world.run() as (parts, address):
        another = Caller(world, address)
        another.manifest = manifest_of(services=[WEB], scale=ALWAYS)
        await another.provision()
        await until(lambda: in_phase(parts, another, Phase.SERVING))
    second = elsewhere(world, tmp_path / "2")
    second.facade = FailsForSome(POOLS)
    async with second.run() as (parts, _address):
        bad, good = record_of(parts, caller), record_of(parts, another)
        assert (bad.runs_on, good.runs_on) == (True, True)
        second.facade.bad = frozenset(second.facade.slots_of(bad.label).values())
        before = told(led(second, good.label))
        assert all(before)
        second.cluster.lose_node(good.namespace, int(second.now))
        await until(lambda: all(told(led(second, good.label))) and told(led(second, good.label)) != before)
