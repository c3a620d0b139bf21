# SPDX-License-Identifier: Apache-2.0
"""`follow` at the provider, over real sockets: replicas that come and go, places, slow readers, bounds."""

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.provider.server.following.fake_logs import BEGIN, GrowingLog
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import Refused, RemoteProtocolError
from trustedpods.protocol.messages.base import Done
from trustedpods.protocol.messages.pod import DeleteBody, LogLines, LogsBody
from trustedpods.protocol.messages.streams.followed import (
    LINE_COST,
    MAX_LINE,
    WINDOW,
    FollowBody,
    FollowedLines,
    FollowInput,
    FollowNote,
    FollowPosition,
    FollowStarted,
)
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.protocol.sealing.requests import request_digest
from trustedpods.provider.server.following.followed import FollowedLogs, FollowedPod, FollowTimes
from trustedpods.provider.server.following.follows import MAX_PER_PUBLISHER


class Following:
    """A conversation: what came of it so far."""

    def __init__(self, stream, reply, sealer):
        self.stream, self._reply, self._sealer = stream, reply, sealer
        self.lines, self.notes, self.places, self.cost, self.started, self.done = [], [], {}, 0, None, None

    async def ack(self, taken=None):
        taken = self.cost if taken is None else taken
        await self.stream.send(self._sealer.seal(FollowInput(taken=taken)))

    async def step(self):
        message, final = await self._reply(FollowStarted, FollowedLines, FollowNote, Done)
        if isinstance(message, FollowStarted):
            self.started = message
        elif isinstance(message, FollowNote):
            self.notes.append(message)
        elif isinstance(message, Done):
            assert final
            self.done = message
        else:
            for line in message.lines:
                log = message.logs[line.log]
                self.cost += len(line.text) + LINE_COST
                self.places[log.replica, log.container] = (line.at, line.nth)
                told = f"{line.dropped} dropped" if line.dropped else line.text.decode()
                self.lines.append((log.replica, told))

    async def until(self, condition, limit=60):
        with trio.fail_after(limit):
            while not condition():
                await self.step()

    async def texts(self, count):
        await self.until(lambda: len(self.lines) >= count)
        return [text for _, text in self.lines]

    def positions(self):
        return [
            FollowPosition(replica=replica, container=container, at=at, nth=nth)
            for (replica, container), (at, nth) in self.places.items()
        ]


@asynccontextmanager
async def following(caller, *, key=None, **how):
    body = FollowBody(input_key=secrets.token_bytes(32), **how)
    private, request = caller.signed("follow", body, key=key)
    sealer = InputSealer(body.input_key, request_digest(request, caller.chain_context))
    async with caller.talk(private, request) as (stream, reply):
        found = Following(stream, reply, sealer)
        await found.until(lambda: found.started)
        yield found


@asynccontextmanager
async def pod(tmp_path, replicas=1):
    """A daemon with a pod that is awake, and its log: of the first replica."""
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(scale={"min": replicas, "max": 3})
        await caller.provision()
        namespace = parts.pods.get(caller.ref.channel).namespace
        life = world.cluster.lives[namespace]
        await until(lambda: len(running(world, namespace)) == replicas)
        logs = [log_of(world, view.name) for view in life.pods.values() if not view.over]
        world.logs = logs  # type: ignore[attr-defined]  # for the tests here alone
        await until(lambda: sum(not one.over for one in seen(parts, caller)) == replicas)
        yield world, parts, caller, namespace


def running(world, namespace):
    return [view for view in world.cluster.lives[namespace].pods.values() if view.begun and not view.over]


def seen(parts, caller):
    return parts.autoscaler.replicas.of(parts.pods.get(caller.ref.channel).label)


def log_of(world, replica, *lines):
    log = world.cluster.growing.setdefault((replica, "web"), GrowingLog())
    log.write(*lines)
    return log


async def test_the_last_lines_and_those_that_come(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, _):
        [log] = world.logs
        log.write("one", "two", "three")
        async with following(caller, tail=2) as found:
            assert (found.started.replicas, found.started.containers) == (1, ["web"])
            assert await found.texts(2) == ["two", "three"]
            log.write("four")
            assert await found.texts(3) == ["two", "three", "four"]
        await until(lambda: not log.following)  # whoever goes leaves nothing behind


async def test_since_and_none_of_those_that_are_there(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, _):
        [log] = world.logs
        world.now = BEGIN + 1000
        log.write("old", at=BEGIN * 10**9)
        log.write("new", at=(BEGIN + 800) * 10**9)
        async with following(caller, since_s=300) as found:
            assert await found.texts(1) == ["new"]
        async with following(caller, tail=0) as found:
            await until(lambda: log.following)
            log.write("later")
            assert await found.texts(1) == ["later"]


async def test_replicas_that_join_and_end_and_a_pod_that_sleeps(tmp_path):
    async with pod(tmp_path) as (world, parts, caller, namespace):
        [log] = world.logs
        async with following(caller) as found:
            log.write("first")
            assert await found.texts(1) == ["first"]
            [before] = running(world, namespace)
            log.write("last word")
            log.end()
            world.cluster._end(world.cluster.lives[namespace], before)
            await parts.autoscaler.replicas.until_empty(parts.pods.get(caller.ref.channel).label, "nowhere")
            world.cluster._start(world.cluster.lives[namespace])
            after = running(world, namespace)[-1]
            log_of(world, after.name, "woken")
            await found.until(lambda: (after.name, "woken") in found.lines)
            assert (before.name, "last word") in found.lines


async def test_a_pod_without_a_replica_says_so_once(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        namespace = parts.pods.get(caller.ref.channel).namespace
        await until(lambda: not running(world, namespace))
        async with following(caller) as found:
            await found.until(lambda: found.notes)
            assert [note.about for note in found.notes] == ["asleep"]
            world.cluster._start(world.cluster.lives[namespace])
            [view] = running(world, namespace)
            log_of(world, view.name, "woken")
            await found.until(lambda: (view.name, "woken") in found.lines)
            assert len(found.notes) == 1


async def test_a_container_that_starts_again_and_a_cluster_that_goes_away(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, namespace):
        [log] = world.logs
        async with following(caller) as found:
            log.write("one")
            await found.texts(1)
            log.cut()
            log.write("two")
            assert await found.texts(2) == ["one", "two"]
            log.end()
            await until(lambda: not log.following)
            [view] = running(world, namespace)
            again = world.cluster.growing[view.name, "web"] = GrowingLog()
            again.write("three", at=(BEGIN + 5) * 10**9)
            world.cluster._put(world.cluster.lives[namespace], replace(view, restarts=1))
            assert await found.texts(3) == ["one", "two", "three"]


async def test_a_client_comes_back_to_where_it_was(tmp_path):
    async with pod(tmp_path, replicas=2) as (world, _parts, caller, _):
        one, two = world.logs
        one.write("a1", "a2")
        async with following(caller) as found:
            await found.texts(2)
            began, positions = found.started.began, found.positions()
        one.write("a3", "a4")
        two.write("b1", at=began + 5)
        async with following(caller, began=began, positions=positions) as found:
            assert sorted(await found.texts(3)) == ["a3", "a4", "b1"]
            assert found.started.began == began


async def test_a_slow_reader_holds_no_other_back(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, _):
        [log] = world.logs
        text = "x" * (MAX_LINE - 10)
        async with following(caller, tail=0) as found, following(caller, tail=0) as other:
            await until(lambda: log.following == 2)
            log.write(*(f"{number} {text}" for number in range(8 * WINDOW // MAX_LINE)))
            while other.cost < 7 * WINDOW:  # it takes, and the first one does not
                await other.step()
                await other.ack()
            while found.cost < WINDOW:
                await found.step()
            with trio.move_on_after(0.3) as pause:
                await found.step()
            assert pause.cancelled_caught
            await found.ack()
            await found.until(lambda: found.cost >= 2 * WINDOW)
            assert [int(told.split()[0]) for _, told in found.lines] == list(range(len(found.lines)))


async def test_lines_that_nobody_takes_are_counted(tmp_path):
    async with pod(tmp_path) as (world, parts, caller, _):
        [log], count = world.logs, 400
        sent, taken = trio.open_memory_channel(1000)
        acks, inputs = trio.open_memory_channel(1000)
        body = FollowBody(input_key=bytes(32), tail=0)
        sealer = InputSealer(body.input_key, b"digest")

        async def receive(_size, _timeout):
            return await inputs.receive()

        replies = SimpleNamespace(send=sent.send, stream=SimpleNamespace(receive=receive))
        request = SimpleNamespace(replies=replies, opened=SimpleNamespace(digest=b"digest"))
        label = parts.pods.get(caller.ref.channel).label
        followed = FollowedPod(label, ["web"], _booked, trio.CapacityLimiter(10), lambda: None)
        quick, replicas = FollowTimes(patience_s=0.2), parts.autoscaler.replicas
        found = Following(None, lambda *_: _next(taken), None)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(FollowedLogs(request, body, followed, parts.doors, replicas, quick).run)
            await until(lambda: log.following)
            log.write(*("y" * 8000 for _ in range(count)))
            await until(lambda: log.read == count)  # nothing is taken: the rest is left out
            with trio.fail_after(60):
                while sum(_stands_for(told) for _, told in found.lines) < count:
                    await found.step()
                    acks.send_nowait(sealer.seal(FollowInput(taken=found.cost)))
            nursery.cancel_scope.cancel()
        told = [_stands_for(told) for _, told in found.lines]
        assert sum(told) == count
        assert len(told) < 120  # what waited, and what was on its way
        assert max(told) > 200


async def _next(taken):
    return await taken.receive(), False


def _stands_for(told):
    return int(told.split()[0]) if told.endswith("dropped") else 1


async def test_who_may_and_how_many(tmp_path):
    async with pod(tmp_path) as (world, parts, caller, _):
        with pytest.raises(Refused, match="no container 'nobody'"):
            async with following(caller, container="nobody"):
                pass
        async with AsyncExitStack() as stack:
            for _ in range(MAX_PER_PUBLISHER):
                await stack.enter_async_context(following(caller))
            with pytest.raises(Refused) as caught:
                await stack.enter_async_context(following(caller))
            assert caught.value.rule == "busy"
        with pytest.raises(Refused) as caught:
            async with following(Caller(world, caller.address)):
                pass
        assert caught.value.rule == "unknown-pod"
        async with following(caller) as found:
            await parts.pods.change(caller.ref.channel, commanders=(address_of(secrets.token_bytes(32)),))
            with pytest.raises(Refused) as caught:
                await found.until(lambda: found.done)
            assert caught.value.rule == "commander"


async def test_more_is_not_taken_than_was_sent(tmp_path):
    async with pod(tmp_path) as (_world, _parts, caller, _), following(caller) as found:
        await found.ack(1)
        with pytest.raises(RemoteProtocolError) as caught:
            await found.until(lambda: found.done)
        assert caught.value.rule == "exec-window"


async def test_it_ends_with_the_pod(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, _):
        [log] = world.logs
        log.write("only")
        async with following(caller) as found, trio.open_nursery() as nursery:
            await found.texts(1)
            nursery.start_soon(caller.ask, "delete", DeleteBody(), Done)
            log.end()
            await found.until(lambda: found.done)
            nursery.cancel_scope.cancel()
            assert found.done.text.startswith("the pod is ")


async def test_plain_logs_of_the_last_seconds(tmp_path):
    async with pod(tmp_path) as (world, _parts, caller, namespace):
        world.cluster.written["web"] = b"line\n"
        lines = await caller.ask("logs", LogsBody(since_s=90), LogLines)
        assert lines.data == b"line\n"
        [view] = running(world, namespace)
        assert f"logs {view.name} web since 90" in world.cluster.calls


async def _booked(_in, _out):
    await trio.lowlevel.checkpoint()
