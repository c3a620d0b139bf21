# SPDX-License-Identifier: Apache-2.0
"""Pods of which nothing is exposed: let in if they never sleep, run, billed, updated, stopped, deleted."""

from dataclasses import replace

import pytest
import trio

from tests.fakes.provider.caller import Caller, in_phase, manifest_of, until
from tests.fakes.provider.world import World
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, PodStatus, StatusBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.metering import usage
from trustedpods.provider.core.pod import Phase, ServiceExposure
from trustedpods.provider.store import ledger

ALWAYS = {"min": 1, "max": 1}
INSIDE = {"name": "db", "ports": [{"port": 5432, "targetPort": 8080}]}
WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
RAW = {"name": "raw", "expose": "tcp", "ports": [{"port": 8080}]}
UNEXPOSED = [[], [INSIDE]]
"""Services of pods that nobody outside reaches."""


def worker(services=(), **parts):
    return manifest_of(services=list(services), scale=ALWAYS, **parts)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def deployed(world, address, manifest):
    caller = Caller(world, address)
    caller.manifest = manifest
    _, _, signed = await caller.provision()
    return caller, verify_statement(signed, world.keys.reply.public_key().public_bytes_raw())


def words(record):
    """What the services are exposed by, without their addresses in the cluster."""
    return {name: replace(one, cluster_ip=None, way=None) for name, one in record.exposures.items()}


def running(world):
    (life,) = world.cluster.lives.values()
    return [pod for pod in life.pods.values() if pod.ready]


@pytest.mark.parametrize("services", UNEXPOSED)
async def test_a_worker_runs_is_billed_and_goes_without_a_slot(world, virtual_time, services):
    async with world.run() as (parts, address):
        caller, statement = await deployed(world, address, worker(services))
        record = parts.pods.get(caller.ref.channel)
        names = [service["name"] for service in services]
        assert statement.endpoints == []
        assert words(record) == dict.fromkeys(names, ServiceExposure("none"))
        assert all(one.cluster_ip for one in record.exposures.values())
        assert parts.doors.facade.slots_of(record.label) == {}
        await trio.sleep(600)  # ten times `idleAfter`
        assert len(running(world)) == 1
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.ready) == ("serving", 1)
        assert status.services == dict.fromkeys(names, "none")
        world.pass_time(100)
        await parts.meter.observe()
        report = await caller.ask("usage", UsageBody(), UsageReport)
        used = Usage(*report.open_usage)
        assert used.cpu_core_ms >= 100 * 100
        assert (used.egress_kib, used.ingress_kib) == (0, 0)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick_clock, world)
            done = await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
        assert done.transaction is not None
        assert not world.cluster.lives
        closed = await world.chain.closed(world.owner, caller.ref.channel)
        owed = await world.chain.owed(world.owner)
        assert owed > 0
        assert closed.refund + owed == 10**9


async def _tick_clock(world):
    while True:
        await trio.sleep(0.1)
        world.pass_time(1)


async def test_what_nothing_wakes_and_may_sleep_is_refused_though_no_client_looked(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        for services in UNEXPOSED:
            caller.manifest = manifest_of(services=services, scale={"min": 0, "max": 1})
            with pytest.raises(BadInput, match=r"or set scale\.min to 1"):
                await caller.provision()
    assert not world.cluster.lives


async def test_a_worker_that_is_stopped_runs_again_when_there_is_money(world, virtual_time):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, worker())
        await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDS_OUT, "the money is used up")
        await until(lambda: not running(world))
        await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDED)
        await until(lambda: in_phase(parts, caller, Phase.SERVING) and running(world))


async def test_services_come_and_go_with_updates(world):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, manifest_of(services=[WEB, RAW], scale=ALWAYS))
        channel = caller.ref.channel
        first = parts.pods.get(channel)
        (port,) = {one.port for one in first.exposures.values()} - {None}
        assert words(first) == {"web": ServiceExposure("http"), "raw": ServiceExposure("tcp", port)}
        caller.manifest = worker([INSIDE])
        await caller.provision()
        assert words(parts.pods.get(channel)) == {"db": ServiceExposure("none")}
        assert parts.doors.facade.slots_of(first.label) == {}
        caller.manifest = manifest_of(services=[INSIDE, WEB], scale=ALWAYS)
        await caller.provision()
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.services == {"db": "none", "web": "http"}
        assert set(parts.doors.facade.slots_of(first.label)) == {f"{first.label}.web"}


async def test_what_others_did_in_a_slot_meanwhile_is_not_billed(world):
    """The pod has its slot back after a time without one; in between the slot was somebody else's."""
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, manifest_of(scale=ALWAYS))
        channel = caller.ref.channel
        label = parts.pods.get(channel).label
        (slot,) = parts.doors.facade.slots_of(label).values()
        caller.manifest = worker()
        await caller.provision()
        assert await parts.doors.store.read(ledger.load_mark, channel) is None
        world.facade.traffic[slot] = (100, 10**9, 10**9)
        caller.manifest = manifest_of(scale=ALWAYS)
        await caller.provision()
        assert parts.doors.facade.slots_of(label) == {f"{label}.web": slot}
        world.facade.traffic[slot] = (101, 10**9 + 2048, 10**9 + 4096)

        async def counted():
            book = await parts.doors.store.read(ledger.load_ledger, channel, parts.doors.now())
            return [pair for t in book.traffic if (pair := (t.egress_bytes, t.ingress_bytes)) != (0, 0)]

        await until(counted)
        assert (await counted())[-1] == (4096, 2048)


async def test_a_new_daemon_keeps_workers_and_knows_what_is_exposed(world):
    async with world.run() as (parts, address):
        raw, _ = await deployed(world, address, manifest_of(services=[RAW], scale=ALWAYS))
        known = parts.pods.get(raw.ref.channel).exposures
        idle, _ = await deployed(world, address, worker([INSIDE]))
        await parts.pods.change(raw.ref.channel, exposures={})  # as an older store has it
        await parts.pods.change(idle.ref.channel, exposures={})
    async with world.run() as (parts, _):
        await until(lambda: parts.pods.get(raw.ref.channel).exposures == known)
        await until(lambda: words(parts.pods.get(idle.ref.channel)) == {"db": ServiceExposure("none")})
        pod_scaler = parts.autoscaler.pod_scaler(idle.ref.channel)
        await until(lambda: len(pod_scaler.state.ready) == 1)
        assert all(len(life.pods) == 1 for life in world.cluster.lives.values())


async def test_a_replica_on_a_silent_node_is_billed_until_that_was_heard_and_never_again(world, virtual_time):
    async with world.run() as (parts, address):
        caller, _ = await deployed(world, address, worker(UNEXPOSED[0]))
        (life,) = world.cluster.lives.values()

        async def cpu(begin, end):
            await parts.meter.observe()
            book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
            return usage(book, begin, end).cpu_core_ms

        began = int(world.now)
        world.pass_time(100)
        heard = int(world.now)
        assert await cpu(began, heard) == 100 * 100
        world.pass_time(30)
        lost, replaced = world.cluster.lose_node(life.name, heard), int(world.now)
        world.pass_time(50)
        assert await cpu(heard, replaced) == 0
        assert await cpu(replaced, int(world.now)) == 50 * 100
        world.cluster.return_node(life.name, lost)
        assert await cpu(began, int(world.now)) == 150 * 100
        assert lost.name not in life.pods


SERVER = {"name": "web", "image": "oci-archive:x.tar", "resources": {"limits": {"cpu": 1, "memory": "64Mi"}}}
NODES = {"name": "names", "expose": "nodePort", "ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]}
GAME = {"name": "game", "expose": "udp", "ports": [{"port": 7000, "protocol": "UDP"}]}


FRONT = {"name": "front", "expose": "loadBalancer", "ports": [{"port": 443, "targetPort": 8443}]}


async def test_what_nodes_serve_is_refused_where_it_is_not_offered(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        for service, word in ((NODES, "nodePort"), (GAME, "udp"), (FRONT, "loadBalancer")):
            caller.manifest = worker([service], containers=[SERVER])
            with pytest.raises(Refused, match=f"1 of {word} wanted, 0 free"):
                await caller.provision()
    assert not world.cluster.lives


async def test_ports_of_nodes_are_told_and_stay_over_updates(world):
    world.exposure = {"udp": True, "node_ports": True, "node_address": "192.0.2.1"}
    async with world.run() as (parts, address):
        caller, statement = await deployed(world, address, worker([NODES, GAME], containers=[SERVER]))
        channel = caller.ref.channel
        first = parts.pods.get(channel)
        ports = [port for one in first.exposures.values() for port in one.node_ports]
        assert [(end.port, end.url) for end in statement.endpoints] == [
            (port.port, f"{port.protocol.lower()}://192.0.2.1:{port.node_port}") for port in ports
        ]
        assert [(port.protocol, port.port) for port in ports] == [("TCP", 53), ("UDP", 53), ("UDP", 7000)]
        caller.manifest = worker([NODES, GAME, WEB], containers=[SERVER])
        await caller.provision()
        second = parts.pods.get(channel)
        assert second.namespace != first.namespace  # it ran beside the one before
        assert {name: second.exposures[name] for name in first.exposures} == first.exposures
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.services == {"names": "nodePort", "game": "udp", "web": "http"}
    async with world.run() as (parts, _):
        await until(lambda: parts.pods.get(channel).exposures == second.exposures)


async def test_the_address_of_a_load_balancer_is_told_and_kept_and_counted(world):
    world.exposure = {"load_balancers": 1}
    async with world.run() as (_, address):
        caller, statement = await deployed(world, address, worker([FRONT], containers=[SERVER]))
        (place,) = [end.url for end in statement.endpoints]
        assert place.startswith("tcp://198.51.100.")
        assert place.endswith(":443")
        caller.manifest = worker([FRONT, WEB], containers=[SERVER])
        _, _, signed = await caller.provision()
        newer = verify_statement(signed, world.keys.reply.public_key().public_bytes_raw())
        assert place in [end.url for end in newer.endpoints]
        with pytest.raises(Refused, match="1 of loadBalancer wanted, 0 free"):
            await deployed(world, address, worker([FRONT], containers=[SERVER]))


async def test_a_load_balancer_without_an_address_fails_and_says_so(world, virtual_time):
    world.exposure, world.cluster.balancers = {"load_balancers": 1}, False
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = worker([FRONT], containers=[SERVER])
        with pytest.raises(Refused, match="gave the load balancer 'front' no address in 120 s"):
            await caller.provision()
