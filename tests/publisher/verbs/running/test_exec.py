# SPDX-License-Identifier: Apache-2.0
"""`exec` at the client, over real libp2p: bytes in order and paced, and a provider that is not believed."""

import random
from contextlib import asynccontextmanager

import pytest
import trio

from tests.publisher.market.test_silence import relayed
from trustedpods.protocol.errors import BadInput, NetworkFailure, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.exec import MAX_WORDS, TerminalSize
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.running.exec import execute, make_body, make_terminal_body

BYTES = random.Random(3).randbytes(1_000_000)


class Ends:
    """A command's outside: input in pieces, outputs kept, with a pause before each is taken."""

    def __init__(self, data=b"", pause=0.0):
        self.rest, self.pause = data, pause
        self.out = {"stdout": b"", "stderr": b""}

    async def read(self, most):
        await trio.lowlevel.checkpoint()
        piece, self.rest = self.rest[:most], self.rest[most:]
        return piece

    async def write(self, stream, data):
        await trio.sleep(self.pause)
        self.out[stream] += data


async def ran(bench, ends, *words, stdin=True, **where):
    body = make_body(words, stdin=stdin, **where)
    return await execute(
        bench.account, "hello", body, ends.read, ends.write, VisitProgress(), bench.journal()
    )


@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["at once", "slowly"])
async def test_bytes_come_back_as_they_went(bench, pause):
    ends = Ends(BYTES, pause)
    async with bench.peer().serve():
        await bench.deploy()
        result = await ran(bench, ends, "cat")
    assert (result.exit_code, result.container, result.replica) == (0, "hello", "pod-1")
    assert ends.out == {"stdout": BYTES, "stderr": b""}


async def test_outputs_apart_and_the_exit_code(bench):
    ends = Ends(b"input that nobody may read")
    async with bench.peer().serve():
        await bench.deploy()
        result = await ran(bench, ends, "fail", "7", stdin=False, container="other")
    assert (result.exit_code, result.container) == (7, "other")
    assert ends.out == {"stdout": b"out", "stderr": b"err\x1b[2J"}
    assert ends.rest


@pytest.mark.parametrize("fault", ["floods", "floods-with-nothing", "takes-nothing-sent", "ends-twice"])
async def test_what_no_provider_may_say(bench, fault):
    async def never(_stream, _data):
        await trio.sleep_forever()

    async with bench.peer(fault).serve():
        await bench.deploy()
        with pytest.raises(RemoteProtocolError):
            await execute(
                bench.account,
                "hello",
                make_body(["cat"], stdin=False),
                None,
                never,
                VisitProgress(),
                bench.journal(),
            )


async def test_an_end_that_never_comes(bench):
    async with bench.peer("hangs-up-on-commands").serve():
        await bench.deploy()
        with pytest.raises(NetworkFailure):
            await ran(bench, Ends(), "cat")


async def test_a_silence_before_the_command_has_started_is_told_too(bench):
    bench.wait(heartbeat_s=0.1, quiet_s=0.4)
    peer, ends = bench.peer(), Ends(b"here")
    async with peer.serve(), relayed(peer.host.addresses[0]) as (network, address):
        await bench.deploy()
        bench.chain.rows[peer.owner, peer.daemon] = peer._row(address)

        paused = trio.Event()

        async def pause():
            network.pause()
            paused.set()

        async def go_on_once_told():
            await paused.wait()  # a machine with much to do may have been told of a silence before
            while not (bench.journals and bench.last.show.warnings):
                await trio.sleep(0.01)
            network.go_on()

        peer.programs["before the start"] = pause
        with trio.fail_after(50):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(go_on_once_told)
                result = await ran(bench, ends, "cat")
        assert result.exit_code == 0
    assert ends.out["stdout"] == b"here"
    assert "nothing came from the provider" in bench.last.show.warnings[0]


@pytest.mark.parametrize(
    "words",
    [[], ["x"] * (MAX_WORDS + 1), ["x" * 25_000], ["a\0b"], ["\udcff"]],
    ids=["none", "many", "long", "NUL", "no UTF-8"],
)
def test_words_that_no_request_takes(words):
    with pytest.raises(BadInput):
        make_body(words, stdin=False)


class Window:
    """A terminal whose window becomes larger once, and what was done with it."""

    def __init__(self):
        self.done = []

    @asynccontextmanager
    async def entered(self, watch):
        self.done.append("entered")
        try:
            yield
        finally:
            self.done.append("left")

    def size(self):
        return TerminalSize(columns=80, rows=24)

    async def resized(self):
        if "resized" in self.done:
            await trio.sleep_forever()
        self.done.append("resized")
        return TerminalSize(columns=132, rows=50)


async def top(command):
    await command.until(lambda: len(command.sizes) == 2)
    await command.write(" ".join(f"{size.columns}x{size.rows}" for size in command.sizes).encode())
    return 4 if await command.read() == b"q" else 5


async def on_terminal(bench, ends, window, *words):
    body = make_terminal_body(words, window.size())
    progress = VisitProgress()
    return await execute(
        bench.account, "hello", body, ends.read, ends.write, progress, bench.journal(), window
    )


async def test_a_terminal_with_a_window_that_changes(bench):
    ends, window = Ends(b"q"), Window()
    peer = bench.peer()
    peer.programs["top"] = top
    async with peer.serve():
        await bench.deploy()
        result = await on_terminal(bench, ends, window, "top")
    assert result.exit_code == 4
    assert ends.out["stdout"] == b"80x24 132x50"
    assert window.done == ["entered", "resized", "left"]


async def test_a_terminal_is_left_when_the_provider_goes_away(bench):
    async def broken(command):
        await command.write(b"half")

    window, peer = Window(), bench.peer()
    peer.programs["top"] = broken
    async with peer.serve():
        await bench.deploy()
        with pytest.raises(NetworkFailure):
            await on_terminal(bench, Ends(), window, "top")
    assert (window.done[0], window.done[-1]) == ("entered", "left")


async def test_a_terminal_that_was_never_reached_is_not_touched(bench):
    window = Window()
    with pytest.raises(TrustedPodsError):
        await on_terminal(bench, Ends(), window, "top")
    assert window.done == []
