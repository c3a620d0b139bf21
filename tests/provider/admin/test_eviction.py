# SPDX-License-Identifier: Apache-2.0
"""The operator sends pods away: settled first, told why, and nothing taken that was not used."""

from datetime import UTC, datetime

import pytest
import trio

from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, ASK, Caller, in_phase, manifest_of, until
from tests.fakes.provider.world import MARKER, World
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.messages.admission import Admitted
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.provider.core.pod import Phase

DEPOSIT = 10**9
WHY = "abuse notice 4711"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def _run_clock(world):
    while True:
        await trio.sleep(0.05)
        world.pass_time(1)


async def ask(world, **question):
    """A verb of the operator's, while time goes on."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_run_clock, world)
        answer = await admin_json(world.tmp_path / ADMIN_SOCKET, question)
        nursery.cancel_scope.cancel()
    return answer["pods"]


async def by_label(_world, _parts, record):
    return record.label


async def by_host(_world, parts, record):
    return f"{record.label}.{parts.doors.config.identity.domain}".upper()


async def by_address(world, parts, record):
    machine = parts.autoscaler.pod_scaler(record.channel)
    await until(lambda: bool(machine.state.ready))
    [pod] = machine.state.ready
    return pod.ip


async def settled_and_told(world, caller):
    """What was used is paid in at least two claims, the rest came back, and the reason is known."""
    status = await caller.ask("status", StatusBody(), PodStatus)
    assert status.phase == "gone"
    assert WHY in status.reason
    assert [event.text for event in status.events if event.reason == "evicted"] == [status.reason]
    closed = await world.chain.closed(world.owner, caller.ref.channel)
    owed = await world.chain.owed(world.owner)
    assert owed > 0
    assert closed.refund + owed == DEPOSIT
    assert not world.cluster.lives


@pytest.mark.parametrize("target", [by_label, by_host, by_address])
async def test_one_pod_is_sent_away_and_settled_first(world, target, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        world.pass_time(50)
        found = await target(world, parts, parts.pods.get(caller.ref.channel))
        [evicted] = await ask(world, verb="evict", target=found, reason=WHY)
        assert (evicted["phase"], evicted["settled"]) == ("gone", True)
        submits = [entry for entry in world.chain.log if entry[0] == "submit"]
        assert len(submits) == 2  # what was due, then the release
        assert MARKER not in str(evicted)
        await settled_and_told(world, caller)


async def test_a_pod_is_found_by_a_host_that_a_controller_serves(tmp_path, virtual_time):
    classes = {"traefik": {"namespace": "ingress", "pod_labels": {"app": "traefik"}}}
    world = World(tmp_path, ingress={"classes": classes, "services": 1})
    service = {
        "name": "web",
        "expose": "ingress",
        "ports": [{"port": 80, "targetPort": 8080}],
        "hosts": ["shop.localhost"],
        "ingress": {"className": "traefik"},
    }
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[service], trust="open", scale={"min": 1, "max": 1})
        await caller.provision()
        [evicted] = await ask(world, verb="evict", target="Shop.localhost", reason=WHY)
        assert evicted["phase"] == "gone"


async def test_a_pod_that_nobody_means_is_not_touched(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        for target in ("", "p", "10.9.9.9", "other.k1.test.localhost"):
            with pytest.raises(Refused) as caught:
                await admin_json(
                    world.tmp_path / ADMIN_SOCKET, {"verb": "evict", "target": target, "reason": WHY}
                )
            assert caught.value.rule == "unknown-pod"
        label = parts.pods.get(caller.ref.channel).label
        for reason in ("", " ", "x" * 401, "bell\a"):
            with pytest.raises(BadInput):
                await admin_json(
                    world.tmp_path / ADMIN_SOCKET, {"verb": "evict", "target": label, "reason": reason}
                )
        assert in_phase(parts, caller, Phase.SERVING)


async def test_a_denied_key_stays_out_also_after_a_restart(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        label = parts.pods.get(caller.ref.channel).label
        await ask(world, verb="evict", target=label, reason=WHY, deny=True)
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "denied"
        other = Caller(world, address)
        await other.provision()
    async with world.run() as (parts, address):
        caller.address = address
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "denied"


async def test_a_drain_sends_all_away_and_takes_nobody_in(world, virtual_time):
    async with world.run() as (_, address):
        callers = [Caller(world, address) for _ in range(2)]
        for caller in callers:
            await caller.provision()
        world.pass_time(40)
        gone = await ask(world, verb="drain", reason=WHY)
        assert [pod["phase"] for pod in gone] == ["gone", "gone"]
        for caller in callers:
            status = await caller.ask("status", StatusBody(), PodStatus)
            assert WHY in status.reason
        assert not world.cluster.lives
        with pytest.raises(Refused) as caught:
            await callers[0].ask("admit", ASK, Admitted)
        assert (caught.value.rule, WHY in caught.value.what) == ("draining", True)
        await ask(world, verb="drain", undo=True)
        await callers[0].ask("admit", ASK, Admitted)


async def test_a_drain_with_hours_tells_publishers_until_when_and_then_sends_all_away(world, virtual_time):
    """Also where the daemon starts again meanwhile: the time is in the books."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        at = int(world.now) + 3 * 3600
        [told] = await admin_pods(world, verb="drain", reason=WHY, hours=3)
        assert told["phase"] == "serving"
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.drain_at) == ("serving", at)
        [line] = [event.text for event in status.events if event.reason == "draining"]
        assert WHY in line
        assert datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ") in line
        with pytest.raises(Refused) as caught:
            await Caller(world, address).ask("admit", ASK, Admitted)
        assert caught.value.rule == "draining"
        health = await admin_json(world.tmp_path / ADMIN_SOCKET, {"verb": "health"})
        assert (health["draining"], health["drainAt"]) == (WHY, at)
        world.pass_time(3 * 3600 - 10)
        await parts.eviction.send_away_in_time()
        assert (await caller.ask("status", StatusBody(), PodStatus)).phase == "serving"
    async with world.run() as (parts, address):
        caller.address = address
        assert parts.eviction.rules.drain_at == at
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_run_clock, world)
            await until(lambda: in_phase(parts, caller, Phase.GONE))
            nursery.cancel_scope.cancel()
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert WHY in status.reason
        assert status.drain_at is None
        assert not world.cluster.lives


async def test_a_drain_that_is_taken_back_leaves_the_pods(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await admin_pods(world, verb="drain", reason=WHY, hours=1)
        assert await admin_pods(world, verb="drain", undo=True) == []
        world.pass_time(2 * 3600)
        await parts.eviction.send_away_in_time()
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert (status.phase, status.drain_at) == ("serving", None)
        reasons = [event.reason for event in status.events]
        assert reasons.count("drain-cancelled") == 1
        await Caller(world, address).ask("admit", ASK, Admitted)


async def test_a_notice_that_is_taken_back_at_its_end_promises_nothing_to_whom_it_sends_away(
    world, virtual_time
):
    """Its last claim is still on its way when the operator changes his mind."""
    begun, go_on = trio.Event(), trio.Event()

    async def takes_its_time(**_):
        begun.set()
        await go_on.wait()
        raise NetworkFailure("the chain node does not answer")

    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        await admin_pods(world, verb="drain", reason=WHY, hours=1)
        parts.settlement.claim = takes_its_time
        async with trio.open_nursery() as nursery:
            world.pass_time(3600)
            await begun.wait()
            assert await admin_pods(world, verb="drain", undo=True) == []
            go_on.set()
            nursery.start_soon(_run_clock, world)
            await until(lambda: in_phase(parts, caller, Phase.GONE), 20)
            nursery.cancel_scope.cancel()
        status = await caller.ask("status", StatusBody(), PodStatus)
        reasons = [event.reason for event in status.events]
        assert (reasons.count("evicted"), reasons.count("drain-cancelled")) == (1, 0)


async def test_a_pod_that_cannot_be_parked_keeps_no_other_here(world, virtual_time):
    async with world.run() as (parts, address):
        callers = [Caller(world, address) for _ in range(2)]
        for caller in callers:
            await caller.provision()
        park, first = parts.autoscaler.park, callers[0].ref.channel

        async def one_fails(record, reason):
            if record.channel == first:
                raise NetworkFailure("the cluster does not answer")
            await park(record, reason)

        parts.autoscaler.park = one_fails
        await admin_pods(world, verb="drain", reason=WHY, hours=1)
        async with trio.open_nursery() as nursery:
            world.pass_time(3600)
            nursery.start_soon(_run_clock, world)
            for caller in callers:
                await until(lambda one=caller: in_phase(parts, one, Phase.GONE), 20)
            nursery.cancel_scope.cancel()


async def admin_pods(world, **question):
    """A verb of the operator's, while time stands still."""
    return (await admin_json(world.tmp_path / ADMIN_SOCKET, question))["pods"]


async def test_a_chain_that_does_not_answer_keeps_nobody_here(world, virtual_time):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        world.pass_time(50)
        world.chain.broken = True
        label = parts.pods.get(caller.ref.channel).label
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                admin_json, world.tmp_path / ADMIN_SOCKET, {"verb": "evict", "target": label, "reason": WHY}
            )
            await until(lambda: not world.cluster.lives)
            assert in_phase(parts, caller, Phase.REMOVING)
            world.chain.broken = False
            nursery.start_soon(_run_clock, world)
            await until(lambda: in_phase(parts, caller, Phase.GONE), 20)
            nursery.cancel_scope.cancel()
        await settled_and_told(world, caller)
