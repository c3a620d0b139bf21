# SPDX-License-Identifier: Apache-2.0
"""A daemon on another node takes over: what runs goes on and is billed once, by whoever may claim it."""

from dataclasses import replace

import pytest

from tests.examples import some
from tests.fakes.crash import Door, Points
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import Caller, in_phase, until
from tests.fakes.provider.reboots import rotate
from tests.fakes.provider.world import World
from tests.provider.daemon.test_leader import beside
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.provider.core.lifecycle import LifecycleEvent
from trustedpods.provider.core.metering import REPORT_LAG_S, usage
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.store import ledger
from trustedpods.provider.store.operator.rules import Rules

SERVED_S, DOWN_S, RUN_ON_S, AGAIN_S = 100, 50, 70, 30
WAITING_S = 30 * 86_400
ADMIN_SOCKET = "books/operator.sock"


@pytest.fixture
def first(postgres, tmp_path):
    with postgres.database() as url:
        made = World(tmp_path / "1", database=url)
        made.chain.operators.add((made.owner, address_of(made.operator_key)))
        yield made


@pytest.fixture
async def taken_over(first, tmp_path, virtual_time):
    """A pod that served under the first daemon runs, and the second one has just taken over."""
    async with first.run() as (parts, address):
        caller = Caller(first, address)
        await caller.provision()
        await until(lambda: in_phase(parts, caller, Phase.SERVING))
        first.pass_time(SERVED_S)
        await parts.meter.observe()
    first.pass_time(DOWN_S)
    second = beside(first, tmp_path / "2")
    second.old_meter, second.operator_key = first.keys.meter_address, first.operator_key
    async with second.run() as (parts, address):
        caller.world, caller.address = second, address
        yield second, parts, caller


def runs(parts, caller):
    return parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)


async def test_what_runs_goes_on_in_cluster_facade_and_books(taken_over):
    world, parts, caller = taken_over
    record = parts.pods.get(caller.ref.channel)
    assert (record.phase, record.runs_on) == (Phase.AWAITING_KEY, True)
    assert "what runs goes on" in record.reason
    assert await world.cluster.replicas(record.namespace) == 1
    (slot,) = world.facade.slots_of(record.label).values()
    assert world.facade.wants[slot].pods
    world.pass_time(RUN_ON_S)
    for _ in range(2):
        await parts.meter.observe()
        await parts.reconciler.look()
    assert await world.cluster.replicas(record.namespace) == 1
    (run,) = (await runs(parts, caller)).runs
    assert run.ended is None
    assert {holding.ended for holding in (await runs(parts, caller)).holdings} == {None}


async def test_a_second_take_over_changes_nothing(first, tmp_path, virtual_time):
    async with first.run() as (_parts, address):
        caller = Caller(first, address)
        await caller.provision()
    found = []
    for number in (2, 3):
        async with beside(first, tmp_path / str(number)).run() as (parts, _address):
            found.append(parts.pods.get(caller.ref.channel))
            assert await first.cluster.replicas(found[-1].namespace) == 1
    assert found[0].runs_on
    assert found[0] == replace(found[1], reason=found[0].reason)  # sealed by the second, lost to the third


async def test_after_its_release_the_next_meter_claims_every_second_once(taken_over):
    world, parts, caller = taken_over
    world.pass_time(RUN_ON_S)
    await parts.meter.observe()
    await rotate(world, caller)
    released = int(world.now)
    _, _, statement = await caller.provision()
    assert statement
    assert in_phase(parts, caller, Phase.SERVING)
    world.pass_time(AGAIN_S)
    await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "claim"})
    before, after = sorted((await runs(parts, caller)).runs, key=lambda run: run.started)
    assert (before.ended, after.started, after.ended) == (released, released, None)
    report = await caller.ask("usage", UsageBody(), UsageReport)
    known_s = SERVED_S + DOWN_S + RUN_ON_S + AGAIN_S - REPORT_LAG_S
    assert [leaf.usage[0] for leaf in report.leaves] == [100 * known_s]


async def test_what_runs_on_stops_when_its_money_ends(taken_over):
    world, parts, caller = taken_over
    record = parts.pods.get(caller.ref.channel)
    await parts.pods.step(record.channel, LifecycleEvent.FUNDS_OUT, "no money")
    await until(lambda: not world.cluster.lives[record.namespace].wanted)
    assert not world.facade.slots_of(record.label)  # others' replicas may get the addresses of its own
    after = parts.pods.get(record.channel)
    assert (after.phase, after.runs_on, after.stopped_at) == (Phase.AWAITING_KEY, False, int(world.now))
    await parts.meter.observe()
    (run,) = (await runs(parts, caller)).runs
    assert run.ended == int(world.now)


@pytest.mark.parametrize("event", some([LifecycleEvent.NAMESPACE_LOST, LifecycleEvent.FUNDS_OUT]))
async def test_what_ended_to_run_is_not_billed_until_its_release(taken_over, event):
    world, parts, caller = taken_over
    world.pass_time(RUN_ON_S)
    await parts.meter.observe()
    await parts.pods.step(caller.ref.channel, event, "it ends")
    ended = int(world.now)
    world.pass_time(WAITING_S)
    await parts.meter.observe()
    assert {holding.ended for holding in (await runs(parts, caller)).holdings} == {ended}
    assert usage((await runs(parts, caller)), ended, int(world.now)).storage_mib_s == 0


async def test_a_replica_that_vanished_between_the_two_daemons_ends_when_it_was_last_seen(
    first, tmp_path, virtual_time
):
    async with first.run() as (parts, address):
        caller = Caller(first, address)
        await caller.provision()
        first.pass_time(SERVED_S)
        await parts.meter.observe()
        seen, namespace = int(first.now), parts.pods.get(caller.ref.channel).namespace
    first.cluster.lives[namespace].pods.clear()
    first.pass_time(DOWN_S)
    second = beside(first, tmp_path / "2")
    async with second.run() as (parts, _address):
        await parts.meter.observe()
        assert parts.pods.get(caller.ref.channel).runs_on is False
        (run,) = (await runs(parts, caller)).runs
        assert run.ended == seen


async def test_a_pod_that_slept_waits_for_its_publisher_unbilled(first, tmp_path, virtual_time):
    async with first.run() as (parts, address):
        caller = Caller(first, address)
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        await until(lambda: not first.cluster.lives[record.namespace].pods or first.pass_time(5))
        await parts.meter.observe()
        asleep = int(first.now)
    first.pass_time(DOWN_S)
    second = beside(first, tmp_path / "2")
    async with second.run() as (parts, _address):
        record = parts.pods.get(caller.ref.channel)
        assert (record.phase, record.runs_on) == (Phase.AWAITING_KEY, False)
        assert {holding.ended for holding in (await runs(parts, caller)).holdings} == {asleep}


async def test_a_kill_as_it_ends_to_run_on_takes_nothing_back(first, tmp_path, virtual_time):
    async with first.run() as (parts, address):
        caller = Caller(first, address)
        await caller.provision()
        first.pass_time(SERVED_S)
        await parts.meter.observe()
    second = beside(first, tmp_path / "2")
    async with second.run() as (parts, _address):
        second.pass_time(RUN_ON_S)
        await parts.meter.observe()
        ended = int(second.now)
        await parts.pods.change(caller.ref.channel, live=False, stopped_at=ended, changed_at=ended)
    first.now = second.now
    async with beside(first, tmp_path / "3").run() as (parts, _address):
        book = await runs(parts, caller)
        assert {one.ended for one in (*book.holdings, *book.runs)} == {ended}


async def test_what_passed_while_it_ran_on_is_billed_as_it_ends(taken_over):
    world, parts, caller = taken_over
    (slot,) = world.facade.slots_of(parts.pods.get(caller.ref.channel).label).values()
    world.facade.traffic[slot] = (1, 5000, 7000)
    await parts.pods.step(caller.ref.channel, LifecycleEvent.FUNDS_OUT, "no money")
    book = await runs(parts, caller)
    assert [(one.ingress_bytes, one.egress_bytes) for one in book.traffic][-1:] == [(5000, 7000)]


KILLS = list(range(0, 48, 3))


@pytest.mark.parametrize("kill", some(KILLS))
async def test_a_kill_anywhere_in_a_release_leads_requests_to_nothing_that_is_gone(
    first, tmp_path, virtual_time, kill
):
    async with first.run() as (_parts, address):
        caller = Caller(first, address)
        await caller.provision()
        first.pass_time(SERVED_S)
    second, points = beside(first, tmp_path / "2"), Points(stop_at=kill)
    second.old_meter, second.operator_key = first.keys.meter_address, first.operator_key
    async with second.run() as (parts, address):
        caller.world, caller.address = second, address
        await rotate(second, caller)
        for name in ("store", "cluster", "facade"):
            object.__setattr__(parts.doors, name, Door(name, getattr(parts.doors, name), points))
        await points.run(caller.provision)
        assert points.dead.is_set(), f"all of a release is {len(points.names)} points"
    async with second.run() as (parts, caller.address):
        record = parts.pods.get(caller.ref.channel)
        led = [
            pod.name for slot in second.facade.slots_of(record.label).values() for pod in _led(second, slot)
        ]
        there = [pod.name for pod in await second.cluster.pods(record.namespace) if not pod.over]
        assert set(led) <= set(there), points.names[-1]
        assert record.runs_on <= bool(there), points.names[-1]
        await caller.provision()
        assert in_phase(parts, caller, Phase.SERVING)


def _led(world, slot):
    return world.facade.wants[slot].pods if slot in world.facade.wants else ()


async def test_whom_the_operator_lets_in_holds_at_the_next_daemon(first, tmp_path, virtual_time):
    async with first.run() as (parts, address):
        caller = Caller(first, address)
        await parts.gate.deny(caller.ref.publisher)
        await admin_json(first.tmp_path / ADMIN_SOCKET, {"verb": "drain", "reason": "a new disk"})
    second = beside(first, tmp_path / "2")
    async with second.run() as (parts, address):
        caller.world, caller.address = second, address
        assert parts.gate.rules == Rules("a new disk", frozenset({caller.ref.publisher}))
        await admin_json(second.tmp_path / ADMIN_SOCKET, {"verb": "drain", "undo": True})
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "denied"
