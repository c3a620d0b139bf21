# SPDX-License-Identifier: Apache-2.0
"""What is opened in a thread: calls, blocks that are held, Ctrl-C, and an end that always comes."""

import subprocess
import sys
from contextlib import asynccontextmanager

import pytest
import trio

from trustedpods.protocol.errors import LocalProtocolError, NetworkFailure
from trustedpods.publisher.blocking.derived import LineFeed
from trustedpods.publisher.blocking.trio_thread import TrioThread


class Opened:
    """What a thread holds open, with the order of what happened to it."""

    def __init__(self):
        self.log = []
        self.lose = trio.Event()

    @asynccontextmanager
    async def stream(self):
        """Raises into the block once the line is lost."""
        self.log.append("entered")
        async with trio.open_nursery() as nursery:

            async def fail():
                await self.lose.wait()
                raise NetworkFailure("the provider is gone")

            nursery.start_soon(fail)
            try:
                yield "value"
            finally:
                self.log.append("left")
            nursery.cancel_scope.cancel()


@pytest.fixture
def thread():
    @asynccontextmanager
    async def opening():
        yield Opened()

    made = TrioThread(opening)
    yield made
    made.stop()
    assert not made._thread.is_alive()


def log(thread):
    async def asked(opened):
        return list(opened.log)

    return thread.call(asked)


def test_a_block_is_entered_and_left_in_one_task(thread):
    with thread.enter(Opened.stream) as value:
        assert value == "value"
        assert log(thread) == ["entered"]
    assert log(thread) == ["entered", "left"]


def test_the_blocks_own_error_is_the_one_that_is_raised(thread):
    with pytest.raises(ZeroDivisionError), thread.enter(Opened.stream):
        raise ZeroDivisionError
    assert log(thread) == ["entered", "left"]


def test_what_ends_it_from_outside_is_raised_as_the_block_ends(thread):
    async def lose(opened):
        opened.lose.set()

    with pytest.raises(NetworkFailure), thread.enter(Opened.stream):
        thread.call(lose)


def test_what_cannot_be_entered_raises_before_the_block(thread):
    @asynccontextmanager
    async def refused(_opened):
        raise NetworkFailure("nobody is there")
        yield

    with pytest.raises(NetworkFailure), thread.enter(refused):
        pytest.fail("the block ran")


def test_a_call_from_inside_another_one_is_an_error_and_does_not_hang(thread):
    async def inside(_opened):
        thread.call(Opened.stream)

    with pytest.raises(LocalProtocolError, match="from within"):
        thread.call(inside)


def test_stopping_while_a_block_is_held_tells_so(thread):
    with pytest.raises(LocalProtocolError, match="disconnected"), thread.enter(Opened.stream):
        thread.stop()


def test_lines_are_given_one_after_another_until_their_end(thread):
    class Feed:
        several, ended = False, "the pod is gone"

        def __init__(self):
            self.left = [b"one", b"two"]

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            await trio.lowlevel.checkpoint()
            return self.left.pop(0)

    feed = LineFeed(thread, Feed())
    assert list(feed) == [b"one", b"two"]
    assert (feed.several, feed.ended) == (False, "the pod is gone")


SCRIPT = """
import os, signal, sys, threading, trio
from contextlib import asynccontextmanager
from trustedpods.publisher.blocking.trio_thread import TrioThread

@asynccontextmanager
async def opening():
    try:
        yield "open"
    finally:
        print("closed", flush=True)

async def verb(opened):
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()
    finally:
        print("verb cancelled", flush=True)

thread = TrioThread(opening)
try:
    thread.call(verb)
except KeyboardInterrupt:
    print("interrupted", flush=True)
async def after(opened):
    return opened
print(thread.call(after), flush=True)
thread.stop()
"""


def test_ctrl_c_cancels_the_verb_and_the_client_goes_on(run_python):
    assert run_python(SCRIPT).split("\n")[:4] == ["verb cancelled", "interrupted", "open", "closed"]


@pytest.fixture
def run_python():
    def run(text):
        command = [sys.executable, "-c", text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_program_that_ends_without_disconnecting_ends(run_python):
    text = SCRIPT.split("thread = TrioThread", maxsplit=1)[0] + (
        "import weakref\nthread = TrioThread(opening)\nclass Owner: pass\nowner = Owner()\n"
        "end = weakref.finalize(owner, thread.stop)\n"
    )
    assert run_python(text) == "closed\n"
