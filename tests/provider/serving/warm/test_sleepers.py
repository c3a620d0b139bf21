# SPDX-License-Identifier: Apache-2.0
"""Warm sleep in the whole daemon, over fakes of its doors: frozen, woken, let go, billed."""

from contextlib import asynccontextmanager

import pytest
import trio

from tests.fakes.provider.caller import in_phase, until
from tests.fakes.provider.world import config_of
from tests.provider.serving.warm.sleeping import WARM_FOR_S, asleep, ended, running, the_freezes, world
from trustedpods.contracts.terms import due
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody
from trustedpods.protocol.units import Usage
from trustedpods.provider.cluster.freezer.door import ANSWER_LIMIT_S, LEASE_S, NodeMemory
from trustedpods.provider.core.metering import count
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.core.scaler.types import ScalePhase
from trustedpods.provider.facade.activator.wake import WakeAddress
from trustedpods.provider.serving.connections import thawed
from trustedpods.provider.serving.warm.freeze_book import LAPSE_S
from trustedpods.provider.serving.warm.sleepers import WarmSleepers
from trustedpods.provider.store import ledger

__all__ = ["world"]


async def test_an_idle_replica_is_frozen_kept_so_and_thawed_by_its_next_request(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        uid = await asleep(world, pod_scaler)
        began = world.freezer.leases[uid]
        await until(lambda: world.freezer.leases[uid] > began + LEASE_S / 2)
        (life,) = world.cluster.lives.values()
        assert [pod.uid for pod in life.pods.values()] == [uid]
        (freeze,) = await the_freezes(parts, caller)
        assert (freeze.uid, freeze.ended, freeze.memory_mib) == (uid, None, world.freezer.memory_mib)
        world.pass_time(100)
        answer = await pod_scaler.wake()
        assert isinstance(answer, WakeAddress)
        assert not world.freezer.frozen()
        assert pod_scaler.state.phase is ScalePhase.AWAKE
        await until(lambda: ended(parts, caller))
        (freeze,) = await the_freezes(parts, caller)
        assert freeze.ended == int(world.now)


async def test_a_frozen_replica_costs_no_cpu_and_the_memory_that_it_holds(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        await until(lambda: the_freezes(parts, caller))
        began = int(world.now)
        world.pass_time(1000)
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
        used = count(book, began, began + 1000).usage
        assert (used.cpu_core_ms, used.memory_mib_s) == (0, 1000 * world.freezer.memory_mib)


async def test_after_its_time_the_replica_is_thawed_and_goes(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        await until(lambda: pod_scaler.state.phase is ScalePhase.ASLEEP, 2 * WARM_FOR_S)
        (life,) = world.cluster.lives.values()
        await until(lambda: life.wanted == 0 and not world.freezer.frozen())
        await until(lambda: ended(parts, caller))


@pytest.mark.parametrize("why", ["lease", "memory"])
async def test_what_its_node_lets_go_sleeps_cold(world, virtual_time, why):
    async with running(world) as (_, _, pod_scaler):
        await asleep(world, pod_scaler)
        if why == "lease":
            world.freezer.refuses = True
            world.freezer.leases.clear()
        else:
            world.freezer.memory = NodeMemory(1000, 50)
        await until(lambda: pod_scaler.state.phase is ScalePhase.ASLEEP)
        (life,) = world.cluster.lives.values()
        await until(lambda: life.wanted == 0 and not world.freezer.frozen())


async def test_a_node_that_cannot_freeze_lets_the_pod_sleep_cold(world, virtual_time):
    world.freezer.refuses = True
    async with running(world) as (_, _, pod_scaler):
        await until(lambda: pod_scaler.state.phase is ScalePhase.ASLEEP)
        (life,) = world.cluster.lives.values()
        await until(lambda: life.wanted == 0)


async def test_without_an_agent_the_pod_sleeps_cold_and_nobody_is_asked(world, virtual_time):
    world.freezer.there = False
    async with running(world) as (_, _, pod_scaler):
        await until(lambda: pod_scaler.state.phase is ScalePhase.ASLEEP)
        assert world.freezer.told == []


async def test_a_frozen_pod_is_deleted_though_no_agent_answers(world, virtual_time):
    async with running(world) as (_, caller, pod_scaler), trio.open_nursery() as nursery:
        await asleep(world, pod_scaler)
        world.freezer.away = True
        nursery.start_soon(pass_time, world)
        await caller.ask("delete", DeleteBody(), Done)
        await until(lambda: not world.cluster.lives)
        nursery.cancel_scope.cancel()


async def wakes(pod_scaler):
    """Whether a request now is answered; it waits for its limit, and is refused."""
    return isinstance(await pod_scaler.wake(), WakeAddress)


async def pass_time(world):
    while True:
        await trio.sleep(0.05)
        world.pass_time(1)


async def test_a_daemons_start_thaws_what_the_one_before_left_frozen(world, virtual_time):
    async with running(world) as (_, caller, pod_scaler):
        await asleep(world, pod_scaler)
    assert world.freezer.frozen()
    async with world.run() as (parts, _):
        await until(lambda: not world.freezer.frozen(), LEASE_S / 2)
        await until(lambda: ended(parts, caller))
        restored = parts.autoscaler.pod_scaler(caller.ref.channel)
        await until(lambda: restored.state.phase is ScalePhase.AWAKE)


async def test_a_pod_whose_node_is_away_wakes_anew_once_its_lease_has_lapsed(world, virtual_time):
    async with running(world) as (_, _, pod_scaler):
        await asleep(world, pod_scaler)
        world.freezer.away = True
        await until(lambda: wakes(pod_scaler), 4 * LEASE_S)
        assert not world.freezer.frozen()


async def test_what_nobody_has_seen_thawed_costs_no_cpu_until_its_node_tells(world, virtual_time):
    """Its agent is away for longer than a lease, and may have left it frozen: the daemon goes on."""
    world.terms = {"start_limit_s": 60}
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        world.freezer.away = True
        with pod_scaler.kept_awake():
            await pod_scaler.wake()
            await until(lambda: pod_scaler.state.phase is ScalePhase.AWAKE, 4 * LEASE_S)
            world.pass_time(1000)
            await trio.sleep(2 * LEASE_S)
            assert not await ended(parts, caller)
            book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
            assert count(book, int(world.now) - 900, int(world.now)).usage.cpu_core_ms == 0
            world.freezer.away = False
            await until(lambda: ended(parts, caller))


async def test_what_the_daemon_before_froze_is_taken_as_thawed_once_every_lease_has_lapsed(
    world, virtual_time
):
    async with running(world) as (parts, _, _):
        (namespace,) = world.cluster.lives
        after_a_start = WarmSleepers(parts.doors)
        world.freezer.away = True
        with pytest.raises(NetworkFailure):
            await after_a_start.thaw(namespace)
        await trio.sleep(LAPSE_S)
        await after_a_start.thaw(namespace)


async def test_whoever_runs_something_in_a_frozen_replica_wakes_it(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        await thawed(parts.autoscaler, parts.pods.get(caller.ref.channel))
        assert not world.freezer.frozen()
        await thawed(parts.autoscaler, parts.pods.get(caller.ref.channel))


async def test_books_without_a_freezer_any_more_hold_nothing_as_frozen(world, virtual_time):
    async with running(world) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        await until(lambda: the_freezes(parts, caller))
    world.freezer.there = False
    async with world.run() as (parts, _):
        await trio.sleep(LEASE_S)
        assert not await ended(parts, caller), "the nodes' agents may have it frozen still"
        await until(lambda: ended(parts, caller))


@asynccontextmanager
async def kept(world):
    """What keeps pods frozen by itself, long after the daemon's start; it renews when it is told to."""
    async with running(world) as (parts, caller, _):
        sleepers = WarmSleepers(parts.doors)
        await trio.sleep(10 * LEASE_S)
        told = []
        yield (
            sleepers,
            lambda name: sleepers.freeze(
                name, caller.ref.channel, {f"uid-{name}"}, lambda: told.append(name)
            ),
            told,
        )


async def test_what_may_be_frozen_is_taken_as_thawed_only_after_a_lease(world, virtual_time):
    async with kept(world) as (sleepers, freeze, _):
        assert await freeze("a")
        sleepers.forget("a")  # its pod gets another scaler
        world.freezer.away = True
        with pytest.raises(NetworkFailure):
            await freeze("b")  # the answer may have been lost
        for name in "ab":
            with pytest.raises(NetworkFailure):
                await sleepers.thaw(name)
        await trio.sleep(LAPSE_S)
        for name in "ab":
            await sleepers.thaw(name)


async def test_a_freeze_whose_asker_ended_meanwhile_is_kept_by_nobody(world, virtual_time, monkeypatch):
    async with kept(world) as (sleepers, freeze, told):
        real = world.freezer.freeze

        async def ended_meanwhile(uids):
            answers = await real(uids)
            sleepers.forget("a")
            return answers

        monkeypatch.setattr(world.freezer, "freeze", ended_meanwhile)
        assert not await freeze("a")
        monkeypatch.undo()
        before = dict(world.freezer.leases)
        await sleepers.renew()
        assert (world.freezer.leases["uid-a"], told) == (before["uid-a"], [])


async def test_a_freeze_that_waited_long_for_its_turn_is_not_forgotten_under_way(
    world, virtual_time, monkeypatch
):
    async with kept(world) as (sleepers, freeze, _), trio.open_nursery() as nursery:
        size, ask = world.freezer.size, world.freezer.freeze

        async def late(uids):
            await trio.sleep(LAPSE_S - 1)
            return await size(uids)

        async def slow(uids):
            await trio.sleep(ANSWER_LIMIT_S)
            return await ask(uids)

        monkeypatch.setattr(world.freezer, "size", late)
        monkeypatch.setattr(world.freezer, "freeze", slow)
        sleepers.begin(nursery)
        assert await freeze("a")
        nursery.cancel_scope.cancel()


async def test_a_node_that_is_away_holds_up_no_other_and_its_own_go_after_a_lease(world, virtual_time):
    async with kept(world) as (sleepers, freeze, told):
        await freeze("a")
        await freeze("b")
        world.freezer.gone = {"uid-a"}
        await sleepers.renew()
        assert told == []
        world.freezer.memory = NodeMemory(1000, 50)
        await sleepers.renew()
        assert told == ["b"]
        world.freezer.memory = NodeMemory(1000, 500)
        await trio.sleep(LAPSE_S)
        await sleepers.renew()
        assert told == ["b", "a"]


async def test_a_daemon_killed_in_a_freeze_has_written_it_down_before(world, virtual_time, monkeypatch):
    async with running(world) as (parts, caller, _):

        async def never_told(uids):
            raise NetworkFailure("the answer is lost")

        monkeypatch.setattr(world.freezer, "freeze", never_told)
        await until(lambda: the_freezes(parts, caller))
        (freeze,) = await the_freezes(parts, caller)
        assert (freeze.memory_mib, freeze.started) == (world.freezer.memory_mib, int(world.now))


async def test_a_frozen_pod_whose_money_ends_is_thawed_stops_and_goes(world, virtual_time):
    """Enough for ten seconds awake: frozen, it lasts for minutes."""
    prices = config_of(world.tmp_path, world.chain, world.owner).prices
    amount = due(Usage(10 * 100, 10 * 64, 10 * 257), prices)
    async with running(world, amount) as (parts, caller, pod_scaler):
        await asleep(world, pod_scaler)
        world.pass_time(amount // due(Usage(0, world.freezer.memory_mib, 257), prices))
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await until(lambda: pod_scaler.state.phase is ScalePhase.ASLEEP and not world.freezer.frozen())
        await until(lambda: ended(parts, caller))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pass_time, world)
            await until(lambda: in_phase(parts, caller, Phase.GONE))
            nursery.cancel_scope.cancel()
        assert not world.cluster.lives


async def test_a_thaw_that_takes_long_holds_up_no_other(world, virtual_time, monkeypatch):
    async with kept(world) as (sleepers, freeze, _):
        assert await freeze("a")
        assert await freeze("b")
        real = world.freezer.thaw

        async def slow(uids):
            if "uid-a" in uids:
                await trio.sleep(ANSWER_LIMIT_S)
            await real(uids)

        monkeypatch.setattr(world.freezer, "thaw", slow)
        began, lease = trio.current_time(), world.freezer.leases["uid-a"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sleepers.thaw, "a")
            await trio.sleep(ANSWER_LIMIT_S / 10)
            await sleepers.thaw("b")
            await sleepers.renew()
            assert trio.current_time() - began < ANSWER_LIMIT_S
            assert world.freezer.leases == {"uid-a": lease}, "nobody asks for it again"
        assert not world.freezer.frozen()


async def test_what_may_be_frozen_is_not_gone_because_nobody_could_look(world, virtual_time, monkeypatch):
    async with running(world) as (parts, _, _):
        sleepers = WarmSleepers(parts.doors)
        (life,) = world.cluster.lives.values()
        (there,) = [pod.uid for pod in life.pods.values() if not pod.over]
        sleepers._book.unseen |= {there, "gone"}
        world.freezer.away = True

        async def unread(*_names):
            raise NetworkFailure("no answer")

        with monkeypatch.context() as away:
            away.setattr(world.cluster, "pods", unread)
            with pytest.raises(NetworkFailure):
                await sleepers._see()
        assert sleepers._book.unseen == {there, "gone"}
        await sleepers._see()
        assert sleepers._book.unseen == {there}
        world.freezer.away = False
        await sleepers._see()
        assert not sleepers._book.unseen
