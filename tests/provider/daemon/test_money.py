# SPDX-License-Identifier: Apache-2.0
"""The same daemon: wake-ups, claims, the end of money, outages, and kills at every step."""

from dataclasses import replace
from functools import partial

import pytest
import trio

from tests.examples import some
from tests.fakes.provider.admin import admin_json
from tests.fakes.provider.caller import ADMIN_SOCKET, Caller, in_phase, manifest_of, serving, until
from tests.fakes.provider.world import MARKER, World
from trustedpods.contracts import merkle
from trustedpods.contracts.terms import due, encode_cap
from trustedpods.contracts.usage import UsageItem
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused, StoreFailure
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody, PodStatus, StatusBody
from trustedpods.protocol.messages.usage import UsageBody, UsageReport
from trustedpods.protocol.units import Usage
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.facade.activator.wake import WakeAddress, ask
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import history, ledger


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_wake_gives_the_pods_address(world, tmp_path):
    async with serving(world):
        answer = await ask(tmp_path / "wake.sock", 0)
        assert isinstance(answer, WakeAddress)
        assert answer.port == 8080


async def test_no_replica_is_used_that_a_controller_may_still_end(world, tmp_path):
    async with serving(world):
        pass
    world.cluster.behind = True
    found = []
    async with world.run(), trio.open_nursery() as nursery:

        async def visit() -> None:
            found.append(await ask(tmp_path / "wake.sock", 0))

        nursery.start_soon(visit)
        await until(lambda: world.cluster.calls.count("rollout") > 5)
        assert found == []
        world.cluster.behind = False
    assert isinstance(found[0], WakeAddress)


async def test_a_replica_whose_end_the_node_lost_ends_when_it_was_let_go(world, tmp_path):
    async with serving(world) as (parts, caller):
        (life,) = world.cluster.lives.values()
        (running,) = life.pods.values()
        world.pass_time(100)
        let_go = running.started_at + 40
        lost = replace(running, ready=False, over=True, deleted_at=let_go)
        world.cluster._put(life, lost)
        await until(lambda: f"drop {running.name}" in world.cluster.calls)
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, running.started_at)
        assert [(run.uid, run.ended) for run in book.runs] == [(running.uid, let_go)]


async def test_an_evicted_replica_without_any_end_is_ended_and_removed(world, tmp_path):
    """Kubernetes keeps its object for ever: phase Failed, containers unknown, no deletion asked for."""
    async with serving(world) as (parts, caller):
        (life,) = world.cluster.lives.values()
        (running,) = life.pods.values()
        world.pass_time(100)
        turned = running.started_at + 40
        why = "Evicted: The node was low on resource: ephemeral-storage."
        lost = replace(running, phase="Failed", ready=False, over=True, turned_at=turned, waiting=why)
        world.cluster._put(life, lost)
        await until(lambda: running.name not in life.pods)
        channel = caller.ref.channel
        book = await parts.doors.store.read(ledger.load_ledger, channel, running.started_at)
        assert (running.uid, turned) in [(run.uid, run.ended) for run in book.runs]
        notes = await parts.doors.store.read(history.events, channel)
        assert [note.text for note in notes if note.reason == "replica-ended"] == [why]


async def test_usage_is_claimed_as_it_was_reported(world, tmp_path):
    async with serving(world) as (parts, caller):
        world.pass_time(100)
        prepared = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim", "prepare": True})
        assert (prepared["items"], prepared["transaction"]) == (1, None)
        report = await caller.ask("usage", UsageBody(), UsageReport)
        (leaf,) = report.leaves
        assert leaf.transaction is None
        item = UsageItem(caller.ref.channel, leaf.from_, leaf.up_to, Usage(*leaf.usage))
        market = world.chain.market
        hashed = merkle.leaf(market.chain_id, market.payments, world.owner, item)
        assert merkle.verify(leaf.root, hashed, leaf.proof)
        bill = due(Usage(*leaf.usage), parts.doors.config.prices)
        assert bill > 0
        claimed = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim", "withdraw": True})
        assert int(claimed["withdrawn"]) == bill
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert status.claimed == bill
        assert status.deposit == 10**9
        again = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim", "withdraw": True})
        assert (again["items"], again["withdrawn"]) == (0, "0")


async def test_a_claim_that_was_sent_before_a_kill_is_not_paid_twice(world, tmp_path):
    async with serving(world) as (_, caller):
        world.pass_time(100)
        await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim", "prepare": True})
        kept = replace_store(tmp_path)
        await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"})
    kept.restore()  # the daemon died after sending and before writing it down
    owed = await world.chain.owed(world.owner)
    assert owed > 0
    async with world.run() as (_, address):
        caller.address = address
        await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "claim"})
        report = await caller.ask("usage", UsageBody(), UsageReport)
        assert report.leaves[0].transaction is not None
    assert await world.chain.owed(world.owner) == owed


class replace_store:
    """Keeps the database as it is now, to put it back."""

    def __init__(self, tmp_path):
        self.folder = tmp_path / "books"
        names = ("store.db", "store.db-wal")
        self.kept = {
            name: (self.folder / name).read_bytes() for name in names if (self.folder / name).exists()
        }

    def restore(self):
        for path in self.folder.glob("store.db*"):
            if path.suffix != ".lock":
                path.unlink()
        for name, data in self.kept.items():
            (self.folder / name).write_bytes(data)


async def test_delete_settles_releases_and_removes(world, virtual_time):
    async with serving(world) as (_, caller):
        world.pass_time(50)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick_clock, world)
            done = await caller.ask("delete", DeleteBody(), Done)
            nursery.cancel_scope.cancel()
        assert done.transaction is not None
        assert not world.cluster.lives
        assert not world.facade.labels
        closed = await world.chain.closed(world.owner, caller.ref.channel)
        assert closed.refund + await world.chain.owed(world.owner) == 10**9
        assert await world.chain.owed(world.owner) > 0


async def _tick_clock(world):
    """Chain and cluster go ten times as fast as the daemon's pauses."""
    while True:
        await trio.sleep(0.1)
        world.pass_time(1)


async def test_the_end_of_the_money_in_full(world, virtual_time):
    world.terms = {"warn_before_s": 40}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        _price = due(Usage(100_000, 64_000, 1000), parts.doors.config.prices)
        await caller.pay(_price // 10)
        await caller.provision()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_busy, world)
            nursery.start_soon(_tick_clock, world)
            await until(lambda: in_phase(parts, caller, Phase.STOPPED))
            world.pass_time(55)
            await until(lambda: in_phase(parts, caller, Phase.GONE))
            nursery.cancel_scope.cancel()
        status = await caller.ask("status", StatusBody(), PodStatus)
        reasons = [event.reason for event in status.events]
        assert reasons.index("funds-warning") < reasons.index("funds-out") < reasons.index("grace-over")
        owed = await world.chain.owed(world.owner)
        closed = await world.chain.closed(world.owner, caller.ref.channel)
        assert owed > 0
        assert owed + closed.refund == _price // 10
        assert not world.cluster.lives


async def _keep_busy(world):
    """Traffic goes on, so the pod does not sleep."""
    number = 0
    while True:
        number += 5000
        for slot in list(world.facade.labels.values()):
            world.facade.traffic[slot] = (0, number, number)
        await trio.sleep(0.05)


async def test_a_top_up_within_the_grace_period_revives(world, virtual_time):
    world.terms = {"grace_s": 10_000}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.pay(due(Usage(2000, 2000, 20_000), parts.doors.config.prices) + 5)
        await caller.provision()
        world.pass_time(30)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        await world.chain.top_up(caller.key, world.owner, caller.ref.channel, 10**9)
        await until(lambda: in_phase(parts, caller, Phase.SERVING))


def replicas_of(world):
    (life,) = world.cluster.lives.values()
    return sum(pod.deleted_at is None for pod in life.pods.values())


async def test_the_cap_bounds_the_replicas_until_it_is_raised(world, virtual_time):
    """A cap for two replicas of three: the publisher reads so, and may have the third for more."""
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"max": 3, "idleAfter": "60s", "concurrency": 1})
        await caller.pay(peak=Usage(200, 128, 16 + 2 * 256))
        await caller.provision()
        limits = parts.autoscaler.pod_scaler(caller.ref.channel).state.limits
        assert (limits.max, limits.most) == (3, 2)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "at most 2 of 3 replicas: maxCostPerDay" in status.reason
        world.facade.current[world.facade.slot_of(f"{parts.pods.get(caller.ref.channel).label}.web")] = 5
        await until(lambda: replicas_of(world) == 2)

        async def told(text):
            return text in (await caller.ask("status", StatusBody(), PodStatus)).reason

        await until(lambda: told("held at 2 of 3 replicas by maxCostPerDay, the channel's cap"))
        channel = await world.chain.channel(world.owner, caller.ref.channel)
        mantissa, exponent = encode_cap(channel.terms.cap_per_day * 2, up=True)
        await world.chain.raise_cap(caller.key, world.owner, caller.ref.salt, mantissa, exponent)
        await until(lambda: replicas_of(world) == 3)
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert "maxCostPerDay" not in status.reason


async def test_a_cap_below_one_replica_is_refused(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.pay(peak=Usage(99, 64, 16))
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "cap"


async def test_a_notice_stops_the_pod_and_claims_before_it_ends(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.pass_time(30)
        await world.chain.unlock(caller.key, world.owner, caller.ref.salt)
        await until(lambda: in_phase(parts, caller, Phase.STOPPED))
        world.pass_time(45)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tick_clock, world)
            await until(lambda: in_phase(parts, caller, Phase.GONE))
            nursery.cancel_scope.cancel()
        assert await world.chain.owed(world.owner) > 0


async def test_a_chain_that_does_not_answer_ends_nothing(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.chain.broken = True
        await trio.sleep(4)
        assert in_phase(parts, caller, Phase.SERVING)
        world.chain.broken = False


async def test_a_cluster_that_does_not_answer_ends_nothing(world, virtual_time):
    async with serving(world) as (parts, caller):
        world.cluster.unreachable = True
        await trio.sleep(4)
        assert in_phase(parts, caller, Phase.SERVING)
        world.cluster.unreachable = False


async def test_logs_of_the_newest_replica(world):
    async with serving(world) as (_, caller):
        world.cluster.written["web"] = b"one\ntwo\n"
        lines = await caller.ask("logs", LogsBody(tail=1), LogLines)
        assert lines.data == b"two\n"
        with pytest.raises(Refused) as caught:
            await caller.ask("logs", LogsBody(container="nobody"), LogLines)
        assert caught.value.rule == "container"


async def test_another_boot_waits_for_the_key(world, virtual_time):
    async with serving(world) as (_, caller):
        pass
    world.keys = BootKeys.generate()
    async with world.run() as (parts, address):
        await until(lambda: in_phase(parts, caller, Phase.AWAITING_KEY))
        assert world.cluster.lives  # the volumes are kept
        caller.address = address
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "awaiting-key"


async def test_operators_see_numbers_only(world, tmp_path):
    async with serving(world) as (_parts, caller):
        found = await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "pods"})
        assert [pod["phase"] for pod in found["pods"]] == ["serving"]
        assert MARKER not in str(found)
        assert caller.ref.publisher not in str(found)
        with pytest.raises(BadInput):
            await admin_json(tmp_path / ADMIN_SOCKET, {"verb": "look-inside"})


async def test_encoded_errors_never_carry_a_trace(world):
    async with serving(world) as (_, caller):
        private, request = caller.signed("logs", StatusBody())  # a body of another verb
        async with caller.talk(private, request) as (_, reply):
            with pytest.raises(NetworkFailure) as caught:
                await reply(LogLines)
        assert "Traceback" not in caught.value.what


@pytest.mark.parametrize("moment", some(["volume_claims", "apply", "replicas", "scale"]))
async def test_a_kill_at_any_moment_of_a_deploy(world, moment):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        await caller.pay()
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            for need in (await reply(Needs))[0].blobs:
                await caller.send_blob(
                    *{ref.blob_id: (ref, data) for ref, data in caller.refs()}[need.blob_id]
                )
            await until(lambda: any(call.startswith(moment) for call in world.cluster.calls))
    async with world.run() as (parts, address):
        caller.address = address
        await caller.provision()
        assert len(world.cluster.lives) == 1
        assert in_phase(parts, caller, Phase.SERVING)


@pytest.mark.parametrize("moment", some(["delete", "namespaces", "claim"]))
async def test_a_kill_at_any_moment_of_a_removal(world, moment):
    async with serving(world) as (_, caller):
        world.pass_time(20)
        private, request = caller.signed("delete", DeleteBody())
        async with caller.talk(private, request):
            if moment == "claim":
                await until(lambda: not world.cluster.lives)
                world.pass_time(1)
            else:
                await until(lambda: any(call.startswith(moment) for call in world.cluster.calls))
    world.pass_time(5)
    async with world.run() as (parts, address):
        caller.address = address
        await until(lambda: in_phase(parts, caller, Phase.GONE))
        closed = await world.chain.closed(world.owner, caller.ref.channel)
        assert closed.refund + await world.chain.owed(world.owner) == 10**9
        assert not world.cluster.lives


async def test_books_that_cannot_be_written_do_not_prolong_what_is_billed(world):
    """What is let go then is let go as of then, also where the pod holds something new meanwhile."""
    async with serving(world) as (parts, caller):
        record = parts.pods.get(caller.ref.channel)
        for written in (parts.meter.observe, partial(parts.meter.hold, record)):
            with world.disk.failing(words=("UPDATE holdings",)), pytest.raises(StoreFailure):
                await parts.meter.let_go(record)
            ended = int(world.now)
            world.pass_time(1000)
            await written()
            book = await parts.doors.store.read(ledger.load_ledger, record.channel, 0)
            assert ended in {holding.ended for holding in book.holdings}
            await parts.meter.hold(record)
