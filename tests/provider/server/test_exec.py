# SPDX-License-Identifier: Apache-2.0
"""`exec` at the provider: who may, where it runs, how much runs at once, and what is written down of it."""

import secrets
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio

from tests.fakes.commands import FakeCommand
from tests.fakes.provider.caller import Caller, serving, until
from tests.fakes.provider.world import World
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, StoreFailure
from trustedpods.protocol.messages.exec import (
    MAX_PIECE,
    WINDOW,
    ExecBody,
    ExecEnded,
    ExecInput,
    ExecOutput,
    ExecStarted,
    ExecTaken,
    TerminalBody,
    TerminalInput,
    TerminalSize,
)
from trustedpods.protocol.messages.pod import PodStatus, StatusBody
from trustedpods.protocol.sealing.inputs import InputSealer
from trustedpods.protocol.sealing.requests import request_digest
from trustedpods.provider.core.traffic import Traffic
from trustedpods.provider.server import exec as pod_exec
from trustedpods.provider.server.exec import MAX_PER_POD, PodCommands
from trustedpods.provider.server.exec_streams import CommandStreams
from trustedpods.provider.store import ledger

REPLIES = (ExecStarted, ExecOutput, ExecTaken, ExecEnded)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.cluster.programs = {"cat": cat, "yes": yes, "say": say, "wait": wait, "break": broken}
    return made


async def cat(command):
    while (data := await command.read()) is not None:
        await command.write(data)
    return 0


async def yes(command):
    while True:
        await command.write(b"y" * 10_000)


async def say(command):
    await command.write(b"out")
    await command.write(b"err", "stderr")
    return int(command.words[1])


async def wait(command):
    await trio.sleep_forever()


async def broken(command):
    await command.write(b"half")


@asynccontextmanager
async def running(caller, *words, key=None, stdin=True, **where):
    """A conversation: `send` and `reply` of it."""
    body = ExecBody(command=list(words), input_key=secrets.token_bytes(32), stdin=stdin, **where)
    private, request = caller.signed("exec", body, key=key)
    sealer = InputSealer(body.input_key, request_digest(request, caller.chain_context))
    async with caller.talk(private, request) as (stream, reply):

        async def send(**what):
            await stream.send(sealer.seal(ExecInput(**what)))

        yield send, reply


@asynccontextmanager
async def terminal(caller, *words):
    """The same on a terminal of 80 columns."""
    size = TerminalSize(columns=80, rows=24)
    body = TerminalBody(command=list(words), input_key=secrets.token_bytes(32), size=size)
    private, request = caller.signed("terminal", body)
    sealer = InputSealer(body.input_key, request_digest(request, caller.chain_context))
    async with caller.talk(private, request) as (stream, reply):

        async def send(**what):
            await stream.send(sealer.seal(TerminalInput(**what)))

        yield send, reply


async def whole(caller, *words, data=b"", **where):
    """Runs to the end: its code, outputs and errors."""
    out = {"stdout": b"", "stderr": b""}
    async with running(caller, *words, stdin=bool(data), **where) as (send, reply):
        if data:
            await send(data=data, end=True)
        while True:
            message, final = await reply(*REPLIES)
            if isinstance(message, ExecOutput):
                out[message.stream] += message.data
            if isinstance(message, ExecEnded):
                assert final
                return message.exit_code, out["stdout"], out["stderr"]


async def refusal(caller, *words, **how):
    with pytest.raises(Refused) as caught:
        await whole(caller, *words, **how)
    return caught.value


async def test_input_outputs_and_exit_code(world):
    async with serving(world) as (_, caller):
        assert await whole(caller, "say", "7") == (7, b"out", b"err")
        assert await whole(caller, "cat", data=b"bytes" * 1000) == (0, b"bytes" * 1000, b"")
        assert (await refusal(caller, "nothing")).rule == "exec-start"


async def test_only_who_may_command_the_pod(world):
    async with serving(world) as (parts, caller):
        assert (await refusal(Caller(world, caller.address), "say", "0")).rule == "unknown-pod"
        await parts.pods.change(caller.ref.channel, commanders=(address_of(secrets.token_bytes(32)),))
        assert (await refusal(caller, "say", "0")).rule == "commander"
        assert world.cluster.ran == []


async def test_where_it_runs(world):
    async with serving(world) as (_, caller):
        (pod,) = (pod.name for life in world.cluster.lives.values() for pod in life.pods.values())
        await whole(caller, "say", "0", container="web", replica=pod)
        assert world.cluster.ran[-1].place[1:] == (pod, "web")
        assert (await refusal(caller, "say", "0", container="nobody")).rule == "container"
        assert pod in str(await refusal(caller, "say", "0", replica="pod-77"))
        for life in world.cluster.lives.values():
            life.pods = {name: replace(one, over=True) for name, one in life.pods.items()}
        asleep = await refusal(caller, "say", "0")
        assert asleep.rule == "no-replica"
        assert "wakes it" in asleep.hint


async def test_a_client_that_pauses_holds_the_command_back(world):
    async with serving(world) as (_, caller), running(caller, "yes") as (_send, reply):
        await reply(ExecStarted)
        got = 0
        while got < WINDOW:
            got += len((await reply(ExecOutput))[0].data)
        assert got == WINDOW
        with trio.move_on_after(0.2) as pause:
            await reply(ExecOutput)
        assert pause.cancelled_caught
        (command,) = world.cluster.ran
        assert not command.cut.is_set()


async def test_input_is_acknowledged_and_bounded(world):
    async with serving(world) as (_, caller), running(caller, "wait") as (send, reply):
        await reply(ExecStarted)
        world.cluster.ran[0].most = MAX_PIECE
        for _ in range(WINDOW // MAX_PIECE):
            await send(data=b"x" * MAX_PIECE)
        assert (await reply(ExecTaken))[0].total == MAX_PIECE
        for _ in range(2):
            await send(data=b"x" * MAX_PIECE)
        with pytest.raises(RemoteProtocolError, match="under way"):
            await reply(ExecTaken)


@pytest.mark.parametrize(
    "wrong", [{"taken": 1}, {"data": b"more"}], ids=["took what was never sent", "input behind its end"]
)
async def test_what_no_client_may_say(world, wrong):
    async with serving(world) as (_, caller), running(caller, "wait") as (send, reply):
        await reply(ExecStarted)
        await send(end=True)
        await send(**wrong)
        with pytest.raises(RemoteProtocolError):
            await reply(ExecOutput)
        await world.cluster.ran[0].cut.wait()


async def test_a_command_is_cut_when_its_client_goes_away(world):
    async with serving(world) as (_, caller):
        async with running(caller, "wait") as (_, reply):
            await reply(ExecStarted)
        with trio.fail_after(20):
            await world.cluster.ran[0].cut.wait()


async def test_a_replica_that_ends_under_a_command(world):
    async with serving(world) as (_, caller):
        with pytest.raises(NetworkFailure, match="ended before the command did"):
            await whole(caller, "break")


async def test_a_command_that_moves_no_byte_is_cut_off():
    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*total):
        booked.append(total)

    booked = []
    body = ExecBody(command=["wait"], input_key=bytes(32))
    stream = SimpleNamespace(receive=silence)
    asked = SimpleNamespace(replies=SimpleNamespace(stream=stream), opened=SimpleNamespace(digest=b"d"))
    command = FakeCommand(["wait"], ("ns", "pod", "web"))
    with pytest.raises(Refused) as caught:
        await CommandStreams(asked, body, command, carried, idle_s=0.05).run()
    assert caught.value.rule == "idle"
    assert booked == [(0, 0)]


async def test_what_was_carried_is_booked_also_when_the_conversation_is_ended_from_outside():
    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*total):
        await trio.lowlevel.checkpoint()
        booked.append(total)

    booked = []
    body = ExecBody(command=["wait"], input_key=bytes(32))
    asked = SimpleNamespace(
        replies=SimpleNamespace(stream=SimpleNamespace(receive=silence), send=silence),
        opened=SimpleNamespace(digest=b"d"),
    )
    streams = CommandStreams(asked, body, FakeCommand(["wait"], ("ns", "pod", "web")), carried)
    streams.bytes_in, streams.bytes_out = 3, 4
    with trio.move_on_after(0.05):
        await streams.run()
    assert booked == [(3, 4)]


async def test_what_cannot_be_booked_is_booked_with_the_next(world):
    async with serving(world) as (parts, caller):
        meter = FailsOnce()
        record = parts.pods.get(caller.ref.channel)
        carried = PodCommands(parts.doors, None, None, meter, None).booking(record)
        await carried(5, 7)
        await carried(6, 9)
        await carried(6, 10)
    assert meter.booked == [Traffic(bytes_in=6, bytes_out=9), Traffic(bytes_in=0, bytes_out=1)]


class FailsOnce:
    """A meter whose books cannot be written the first time."""

    def __init__(self):
        self.booked = []
        self.asked = 0

    async def carried(self, _channel, traffic):
        self.asked += 1
        if self.asked == 1:
            raise StoreFailure("no space left")
        self.booked.append(traffic)


async def test_so_many_at_once_and_no_more(world):
    async with serving(world) as (_, caller), trio.open_nursery() as nursery:
        for _ in range(MAX_PER_POD):
            nursery.start_soon(whole, caller, "wait")
        await until(lambda: len(world.cluster.ran) == MAX_PER_POD)
        assert (await refusal(caller, "say", "0")).rule == "busy"
        nursery.cancel_scope.cancel()
    async with serving(world):
        pass


@pytest.mark.parametrize("bound", ["MAX_PER_POD", "MAX_PER_PUBLISHER", "MAX_COMMANDS"])
async def test_each_bound_holds_by_itself(world, monkeypatch, bound):
    """A pod's, a publisher's, and that of all: whichever is the lowest."""
    monkeypatch.setattr(pod_exec, bound, 3)
    async with serving(world) as (_, caller), trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(whole, caller, "wait")
        await until(lambda: len(world.cluster.ran) == 3)
        assert (await refusal(caller, "say", "0")).rule == "busy"
        nursery.cancel_scope.cancel()


async def test_the_history_has_no_word_of_it(world):
    async with serving(world) as (_, caller):
        await whole(caller, "say", "0", "a-very-secret-word")
        status = await caller.ask("status", StatusBody(), PodStatus)
        assert [event.text for event in status.events if event.reason == "exec"] == [
            f"a command of 3 words started in container web of {world.cluster.ran[0].place[1]}"
        ]
        assert "a-very-secret-word" not in str(status)


async def test_what_it_carries_is_traffic_of_the_pod(world):
    async with serving(world) as (parts, caller):
        await whole(caller, "cat", data=b"x" * 5000)
        book = await parts.doors.store.read(ledger.load_ledger, caller.ref.channel, 0)
        total = book.traffic[-1]
        assert (total.egress_bytes, total.ingress_bytes) == (5000, 5000)


async def resized(command):
    """Says its window, then the next one, and ends with 3."""
    for number in (1, 2):
        await command.until(lambda number=number: len(command.sizes) >= number)
        size = command.sizes[number - 1]
        await command.write(f"{size.columns}x{size.rows} ".encode())
    return 3


async def test_a_terminal_has_a_window_that_changes_and_an_exit_code(world):
    world.cluster.programs["top"] = resized
    async with serving(world) as (_, caller), terminal(caller, "top") as (send, reply):
        await reply(ExecStarted)
        assert (await reply(ExecOutput))[0].data == b"80x24 "
        await send(size=TerminalSize(columns=132, rows=50), taken=6)
        assert (await reply(ExecOutput))[0].data == b"132x50 "
        assert await reply(ExecEnded) == (ExecEnded(exit_code=3), True)
        assert not world.cluster.ran[0].hung_up
        status = await caller.ask("status", StatusBody(), PodStatus)
    assert [one.text.partition(" started")[0] for one in status.events if one.reason == "exec"] == [
        "a command on a terminal, of 1 word"
    ]


async def test_what_is_typed_reaches_the_command(world):
    async with serving(world) as (_, caller), terminal(caller, "cat") as (send, reply):
        await reply(ExecStarted)
        await send(data=b"ls\r")
        told = {type(message): message for message in [(await reply(*REPLIES))[0] for _ in range(2)]}
        assert told == {ExecTaken: ExecTaken(total=3), ExecOutput: ExecOutput(stream="stdout", data=b"ls\r")}


async def test_a_terminal_whose_client_goes_away_is_hung_up(world):
    async with serving(world) as (_, caller):
        async with terminal(caller, "wait") as (_, reply):
            await reply(ExecStarted)
        with trio.fail_after(20):
            await world.cluster.ran[0].cut.wait()
        assert world.cluster.ran[0].hung_up


async def test_terminals_count_as_commands(world):
    async with serving(world) as (_, caller), terminal(caller, "wait") as (_, reply):
        await reply(ExecStarted)
        async with trio.open_nursery() as nursery:
            for _ in range(MAX_PER_POD - 1):
                nursery.start_soon(whole, caller, "wait")
            await until(lambda: len(world.cluster.ran) == MAX_PER_POD)
            assert (await refusal(caller, "say", "0")).rule == "busy"
            nursery.cancel_scope.cancel()


async def test_a_terminal_that_is_open_for_too_long_is_closed():
    async def silence(*_):
        await trio.sleep_forever()

    async def carried(*_total):
        await trio.lowlevel.checkpoint()

    body = TerminalBody(command=["wait"], input_key=bytes(32), size=TerminalSize(columns=1, rows=1))
    asked = SimpleNamespace(
        replies=SimpleNamespace(stream=SimpleNamespace(receive=silence)),
        opened=SimpleNamespace(digest=b"d"),
    )
    command = FakeCommand(["wait"], ("ns", "pod", "web"))
    with pytest.raises(Refused) as caught:
        await CommandStreams(asked, body, command, carried, longest_s=0.05).run()
    assert caught.value.rule == "too-long"
