# SPDX-License-Identifier: Apache-2.0
"""CPU of frozen replicas in the whole daemon, over fakes of its doors: lent, reclaimed, mended."""

from dataclasses import replace

import trio

from tests.fakes.provider.caller import ASK, Caller, until
from tests.provider.serving.warm.sleeping import asleep, running, world
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.provider.core.scaler.freezing import LEND_AFTER_S
from trustedpods.provider.facade.activator.wake import WakeAddress
from trustedpods.provider.serving.warm.lent_cpu import BEHIND_S, LOOK_S
from trustedpods.provider.store import ledger

__all__ = ["world"]

AWAY = NetworkFailure("no answer")


def replica(world):
    """The one that is there."""
    (life,) = world.cluster.lives.values()
    (pod,) = [pod for pod in life.pods.values() if not pod.over]
    return pod


async def lent(world, pod_scaler):
    """Wait until its CPU is lent; the replica."""
    await asleep(world, pod_scaler)
    await until(lambda: replica(world).lent_milli)
    return replica(world)


async def test_a_frozen_replica_lends_its_cpu_and_has_it_back_behind_its_wake(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        fell = trio.current_time()
        pod = await lent(world, pod_scaler)
        assert LEND_AFTER_S - 1 <= trio.current_time() - fell <= LEND_AFTER_S + LOOK_S + 1
        assert parts.autoscaler.replicas.lent_of(pod.label) == pod.lent_milli == pod.cpu_milli - 1
        assert isinstance(await pod_scaler.wake(), WakeAddress)
        assert replica(world).lent_milli, "its answer waited for no scheduler"
        await until(lambda: not replica(world).lent_milli, BEHIND_S + 1)
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
        assert [run.cpu_milli for run in book.runs] == [pod.cpu_milli]


async def test_who_is_woken_soon_finds_nothing_to_undo(world, virtual_time):
    async with running(world) as (_, _, pod_scaler):
        await asleep(world, pod_scaler)
        await pod_scaler.wake()
        await trio.sleep(2)
        assert not any("lend" in call for call in world.cluster.calls)
        assert not any("reclaim" in call for call in world.cluster.calls)


async def test_a_node_that_restores_no_cpu_lends_none(world, virtual_time):
    world.freezer.restores = False
    async with running(world) as (_, _, pod_scaler):
        await asleep(world, pod_scaler)
        await trio.sleep(LEND_AFTER_S + 2 * LOOK_S)
        assert not replica(world).lent_milli


async def test_what_a_killed_daemon_lent_the_next_one_reclaims(world, virtual_time):
    async with running(world) as (_, _, pod_scaler):
        await lent(world, pod_scaler)
    assert replica(world).lent_milli
    world.freezer.there = False
    async with world.run():
        await until(lambda: not replica(world).lent_milli, 2 * LOOK_S)


async def test_what_asks_for_less_is_reclaimed_though_the_scheduler_has_nothing_of_it(world, virtual_time):
    """An init container that was larger holds the room: its containers must not start again so."""
    async with running(world) as (_, _, pod_scaler):
        await lent(world, pod_scaler)
        (life,) = world.cluster.lives.values()
        world.cluster._put(life, replace(replica(world), lent_milli=0))
    assert replica(world).asks_less
    world.freezer.there = False
    async with world.run():
        await until(lambda: not replica(world).asks_less, 2 * LOOK_S)


async def test_a_wake_while_it_is_lent_is_mended_though_nobody_has_seen_it_yet(
    world, virtual_time, monkeypatch
):
    """The node is asked for less CPU, the pod is woken before that is answered, and the watch is late."""
    async with running(world) as (_, _, pod_scaler):
        asked, go_on = trio.Event(), trio.Event()
        real, told = world.cluster.set_asleep_cpu, []

        async def slow(namespace, pod, uid, *, asleep):
            told.append(asleep)
            if asleep:
                asked.set()
                await go_on.wait()
                raise AWAY  # the answer is lost
            await real(namespace, pod, uid, asleep=asleep)

        monkeypatch.setattr(world.cluster, "set_asleep_cpu", slow)
        await asleep(world, pod_scaler)
        await asked.wait()
        assert isinstance(await pod_scaler.wake(), WakeAddress)
        go_on.set()
        await until(lambda: told == [True, False])
        await trio.sleep(2 * LOOK_S)
        assert told[:2] == [True, False]


async def test_reclaiming_is_tried_until_it_is_done(world, virtual_time, monkeypatch):
    async with running(world) as (_, _, pod_scaler):
        await lent(world, pod_scaler)
        real, failures = world.cluster.set_asleep_cpu, [AWAY, Refused("no", rule="Forbidden"), AWAY]

        async def failing(*names, **words):
            if failures:
                raise failures.pop()
            await real(*names, **words)

        monkeypatch.setattr(world.cluster, "set_asleep_cpu", failing)
        await pod_scaler.wake()
        await until(lambda: not replica(world).lent_milli)
        assert not failures


async def test_a_cluster_that_refuses_is_asked_once_and_the_pod_sleeps_on(world, virtual_time, monkeypatch):
    async with running(world) as (_, _, pod_scaler):
        told = []

        async def refuse(*_names, **words):
            told.append(words)
            raise Refused("pods/resize is forbidden", rule="Forbidden")

        monkeypatch.setattr(world.cluster, "set_asleep_cpu", refuse)
        uid = await asleep(world, pod_scaler)
        await trio.sleep(LEND_AFTER_S + 4 * LOOK_S)
        assert (told, world.freezer.frozen()) == ([{"asleep": True}], {uid})
        assert isinstance(await pod_scaler.wake(), WakeAddress)


async def test_what_sleepers_lent_is_not_sold(world, virtual_time):
    """The room that a wake needs stays free, as that of a pod that sleeps cold does."""
    async with running(world) as (_, caller, pod_scaler):
        pod = await lent(world, pod_scaler)
        assert (await world.cluster.capacity()).free.cpu_milli == world.cluster.allocatable.cpu_milli - 1
        left = await Caller(world, caller.address).ask("admit", ASK, Admitted)
        free = world.cluster.allocatable.cpu_milli - pod.cpu_milli
        assert left.capacity.cpu_milli == free - ASK.cpu_milli
