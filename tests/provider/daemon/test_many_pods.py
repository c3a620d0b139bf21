# SPDX-License-Identifier: Apache-2.0
"""Many sleeping pods at one provider: what a start and an idle while ask of each door, and what they cost.

The daemon is the real one with a real store; its other doors are fakes that count their calls.
"""

import cProfile
import time

import pytest
import trio

from tests.examples import examples
from tests.fakes.provider.full_store import FullWorld, count_statements, in_step, let_pass

FEW, MORE, MANY = 3, examples(80, few=40), 1000
RECONCILED_S = 15.0
"""For a thousand pods, with the fakes' own work; 2 were measured. A slow machine takes several times that."""

IDLE_S = 60
MOST_CPU_PERCENT = 20.0
"""Of one core, likewise; 3 were measured."""

MOST_CALLS_PER_POD = 60
"""Functions a second for each pod; 42 were measured, and 90 before quiet pods were passed over."""

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
