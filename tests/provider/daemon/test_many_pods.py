# SPDX-License-Identifier: Apache-2.0
"""Many sleeping pods at one provider: what a start and an idle while ask of each door, and what they cost.

The daemon is the real one with a real store; its other doors are fakes that count their calls. A serving pod
of which nothing changed is passed over; whatever changes then is acted upon as ever.
"""

import cProfile
import time
from dataclasses import replace

import pytest
import trio

from tests.examples import examples
from tests.fakes.provider.caller import in_phase, serving, until
from tests.fakes.provider.full_store import FullWorld, count_statements, in_step, let_pass
from tests.fakes.provider.world import World
from trustedpods.protocol.messages.provider import Prices
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.pod import Phase

FEW, MORE, MANY = 3, examples(80, few=40), 1000
RECONCILED_S = 15.0
"""For a thousand pods, with the fakes' own work; 2 were measured. A slow machine takes several times that."""

IDLE_S = 60
MOST_CPU_PERCENT = 20.0
"""Of one core, likewise; 3 were measured."""

MOST_CALLS_PER_POD = 60
"""Functions a second for each pod; 42 were measured, and 90 before quiet pods were passed over."""

QUIET_S = 30
"""Many looks at the pods, and some at the list of namespaces."""

FREE = Prices(cpu_core_ms=0, memory_mib_s=0, storage_mib_s=0, egress_kib=0, ingress_kib=0, scale=64)

PER_POD = {"facade.certify"}
"""The only calls that a start makes for each pod: they reach HAProxy where a certificate is new."""


async def until_in_step(parts, pods):
    with trio.fail_after(60):
        while not in_step(parts, pods):
            await trio.sleep(0.05)


async def idle_calls(tmp_path, pods):
    """Calls of a start, and of an idle stretch after it."""
    world = FullWorld(tmp_path, pods=pods)
    await world.fill()
    async with world.run() as (parts, _):
        count_statements(parts.doors.store, world.counts)
        await until_in_step(parts, pods)
        start = dict(world.counts)
        await let_pass(world, 5)
        world.counts.clear()
        await let_pass(world, IDLE_S)
    return start, dict(world.counts)


async def test_a_start_and_an_idle_stretch_ask_no_more_for_more_pods(tmp_path, virtual_time):
    for folder in ("few", "many"):
        (tmp_path / folder).mkdir()
    few_start, few = await idle_calls(tmp_path / "few", FEW)
    many_start, many = await idle_calls(tmp_path / "many", MORE)
    for before, after in ((few_start, many_start), (few, many)):
        more = {name: calls - before.get(name, 0) for name, calls in after.items() if name not in PER_POD}
        # What comes by the clock may fall just inside or outside of a stretch: some calls more or less.
        assert max(more.values()) < (MORE - FEW) / 2, more
    assert many["chain.channels"] >= IDLE_S / 3  # it did look
    assert many["cluster.pods"] >= IDLE_S / 30
    assert not many.keys() & PER_POD


async def idle_function_calls(tmp_path, pods):
    """Functions that the daemon's thread calls in an idle stretch."""
    world = FullWorld(tmp_path, pods=pods)
    await world.fill()
    async with world.run() as (parts, _):
        await until_in_step(parts, pods)
        await let_pass(world, 5)
        profile = cProfile.Profile()
        with profile:
            await let_pass(world, IDLE_S)
    return sum(entry.callcount for entry in profile.getstats())


async def test_a_sleeping_pod_costs_an_idle_daemon_next_to_nothing(tmp_path, virtual_time):
    """By functions called, which a slow machine does not change; what comes by the clock is in both."""
    for folder in ("few", "many"):
        (tmp_path / folder).mkdir()
    few = await idle_function_calls(tmp_path / "few", FEW)
    many = await idle_function_calls(tmp_path / "many", MORE)
    assert (many - few) / (MORE - FEW) / IDLE_S <= MOST_CALLS_PER_POD


@pytest.mark.live
async def test_a_thousand_pods_are_in_step_soon_and_cost_little(tmp_path, virtual_time):
    world = FullWorld(tmp_path, pods=MANY)
    await world.fill()
    async with world.run() as (parts, _):
        await until_in_step(parts, MANY)
    world.counts.clear()
    began, clock = time.perf_counter(), time.process_time()
    async with world.run() as (parts, _):  # the one before ended as by a kill
        await until_in_step(parts, MANY)
        restart = min(time.perf_counter() - began, time.process_time() - clock)
        assert restart <= RECONCILED_S
        assert all(calls < 50 for name, calls in world.counts.items() if name not in PER_POD), world.counts
        await let_pass(world, 5)
        clock = time.process_time()
        await let_pass(world, IDLE_S)
        percent = 100 * (time.process_time() - clock) / IDLE_S
    assert percent <= MOST_CPU_PERCENT
    assert sum(world.counts.values()) < MANY + 12 * IDLE_S


async def notice(world, caller):
    await world.chain.unlock(caller.key, world.owner, caller.ref.salt)


async def other_terms(world, caller):
    life = world.chain.lives[world.owner, caller.ref.channel]
    life.channel = replace(life.channel, terms=replace(life.channel.terms, prices=FREE))


async def no_money(world, caller):
    life = world.chain.lives[world.owner, caller.ref.channel]
    life.channel = replace(life.channel, left=0)


async def no_namespace(world, caller):
    (space,) = await world.cluster.namespaces()
    await world.cluster.delete_namespace(space.name)


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (notice, LifecycleEvent.UNLOCK_ANNOUNCED),
        (other_terms, LifecycleEvent.CHANNEL_CHANGED),
        (no_money, LifecycleEvent.FUNDS_OUT),
        (no_namespace, LifecycleEvent.NAMESPACE_LOST),
    ],
)
async def test_what_changes_after_a_quiet_while_is_acted_upon(tmp_path, virtual_time, change, event):
    world = World(tmp_path)
    async with serving(world) as (parts, caller):
        await let_pass(world, QUIET_S)
        quiet = parts.pods.get(caller.ref.channel)
        await let_pass(world, QUIET_S)
        assert parts.pods.get(caller.ref.channel) is quiet, "nothing was learnt of it, and nothing written"
        assert in_phase(parts, caller, Phase.SERVING)
        events, tell = [], parts.pods.told

        def told(channel, told_event, reason):
            events.append(told_event)
            tell(channel, told_event, reason)

        parts.pods.told = told
        await change(world, caller)
        await until(lambda: event in events)
        assert events[0] == event


async def test_a_chain_that_is_read_again_finds_what_changed_meanwhile(tmp_path, virtual_time):
    world = World(tmp_path)
    async with serving(world) as (parts, caller):
        await let_pass(world, QUIET_S)
        world.chain.broken = True
        await other_terms(world, caller)
        await let_pass(world, QUIET_S)
        assert in_phase(parts, caller, Phase.SERVING)
        world.chain.broken = False
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
