# SPDX-License-Identifier: Apache-2.0
"""The activator on its own sockets, without HAProxy before it."""

import socket
from collections import Counter
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.provider.facade.parts import free_port, until
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.activator import splice
from trustedpods.provider.facade.activator.activator import Activator, ActivatorConfig, has_room
from trustedpods.provider.facade.activator.socket_activation import KeptSockets
from trustedpods.provider.facade.activator.wake import WakeAddress, WakeAnswer, WakeRefusal, serve_wakes
from trustedpods.provider.facade.haproxy.config import socket_path
from trustedpods.provider.facade.pools import Pools


class Daemon:
    """Answers wake-ups when it is let."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.go = trio.Event()
        self.reply: WakeAnswer = WakeRefusal("not yet", 3)

    async def answer(self, slot: int) -> WakeAnswer:
        self.asked.append(slot)
        await self.go.wait()
        return self.reply


@pytest.fixture
def daemon():
    return Daemon()


@pytest.fixture
def home(tmp_path: Path):
    return tmp_path


async def start(home: Path, nursery: trio.Nursery, daemon: Daemon | None, **changes) -> trio.Event:
    if daemon is not None:
        await nursery.start(serve_wakes, home / "wake.sock", daemon.answer)
    config = ActivatorConfig(sockets=home, pools=Pools(2, 1, 1), wake_socket=home / "wake.sock", **changes)
    stop = trio.Event()

    async def run(task_status):
        await Activator(config, KeptSockets({})).serve(stop=stop, task_status=task_status)

    await nursery.start(run)
    return stop


@pytest.fixture
async def connect(home: Path):
    """Connects to a slot; what is still open at the end of the test is closed."""
    async with AsyncExitStack() as opened:

        async def one(slot: int = 0) -> trio.SocketStream:
            return await opened.enter_async_context(await trio.open_unix_socket(str(socket_path(home, slot))))

        yield one


async def rest(stream: trio.SocketStream) -> bytes:
    with trio.fail_after(5):
        data = b""
        async for piece in stream:
            data += piece
        return data


async def echo_pod(nursery: trio.Nursery) -> int:
    """Echoes until the client has ended, then says so."""
    port = free_port()

    async def talk(stream):
        with suppress(trio.BrokenResourceError):
            async for data in stream:
                await stream.send_all(data)
            await stream.send_all(b"|end")

    await nursery.start(trio.serve_tcp, talk, port)
    return port


async def asked(daemon: Daemon, count: int) -> None:
    async def enough() -> bool:
        return len(daemon.asked) >= count

    await until(enough, f"{count} wake-ups asked for")


async def test_many_wait_for_one_question(home, connect, nursery, daemon):
    await start(home, nursery, daemon)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery))
    streams = [await connect() for _ in range(20)]
    for number, stream in enumerate(streams):
        await stream.send_all(b"hello %d" % number)
    await asked(daemon, 1)
    daemon.go.set()
    for number, stream in enumerate(streams):
        await stream.send_eof()
        assert await rest(stream) == b"hello %d|end" % number
    assert daemon.asked == [0]


async def test_slots_are_apart(home, connect, nursery, daemon):
    await start(home, nursery, daemon, max_held=1)
    streams = [await connect(slot) for slot in (0, 1)]
    await asked(daemon, 2)
    assert sorted(daemon.asked) == [0, 1]
    daemon.go.set()
    for stream in streams:
        assert (await rest(stream)).startswith(b"HTTP/1.1 503 ")


async def test_over_the_bound_is_refused_at_once(home, connect, nursery, daemon):
    await start(home, nursery, daemon, max_held=3)
    held = [await connect() for _ in range(3)]
    await asked(daemon, 1)
    assert b"too many requests wait" in await rest(await connect())
    for stream in held:
        await stream.aclose()


async def test_running_connections_of_one_pod_leave_room_for_others(home, connect, nursery, daemon):
    await start(home, nursery, daemon, max_held=100, max_total=20)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery), pod=0)
    daemon.go.set()
    running = [await echoed(await connect(0)) for _ in range(10)]
    assert b"too many requests wait" in await rest(await connect(0)), "half of all is the most"
    daemon.reply = replace(daemon.reply, pod=1)
    others = [await echoed(await connect(1)) for _ in range(5)]
    assert b"too many requests wait" in await rest(await connect(1)), "as much as is left"
    assert b"too many requests wait" in await rest(await connect(0))
    for stream in (*running, *others):
        await stream.aclose()
    await until(partial(is_free, connect), "what has ended does not count")


async def test_services_of_a_pod_share_what_it_may_have(home, connect, nursery, daemon):
    await start(home, nursery, daemon, max_per_pod=4)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery), pod=0)
    daemon.go.set()
    held = [await echoed(await connect(number % 2)) for number in range(4)]
    for slot in (0, 1):
        assert b"too many requests wait" in await rest(await connect(slot))
    for stream in held:
        await stream.aclose()


@given(st.lists(st.integers(0, 5), max_size=200), st.integers(1, 100), st.integers(1, 100))
def test_whoever_is_greedy_the_next_pod_gets_in(asking, total, per_pod):
    config = ActivatorConfig(Path(), Pools(1), Path(), max_total=total, max_per_pod=per_pod)
    has: Counter[int] = Counter()
    for pod in asking:
        if has_room(has[pod], has.total(), config):
            has[pod] += 1
    assert has.total() <= total
    assert all(number <= per_pod for number in has.values())
    # Whoever comes takes half of what is free at most, so six leave something of 2^6.
    assert total < 2**6 or has_room(0, has.total(), config), "six greedy pods, and a seventh"


async def echoed(stream: trio.SocketStream) -> trio.SocketStream:
    """The same, once it runs through to the pod."""
    await stream.send_all(b"x")
    assert await stream.receive_some(1) == b"x"
    return stream


async def is_free(connect) -> bool:
    """Whether a pod gets in; the stream is closed at the end of the test."""
    stream = await connect(0)
    await stream.send_all(b"x")
    return await stream.receive_some(1) == b"x"


async def test_a_refusal_goes_to_all_who_wait(home, connect, nursery, daemon):
    await start(home, nursery, daemon)
    streams = [await connect() for _ in range(3)]
    await asked(daemon, 1)
    daemon.go.set()
    for stream in streams:
        answer = await rest(stream)
        assert b"Retry-After: 3\r\n" in answer
        assert answer.endswith(pages.cannot_wake(3).body), "the same for every reason"


async def test_of_a_pod_that_its_publisher_stopped_the_page_says_so(home, connect, nursery, daemon):
    daemon.reply = WakeRefusal("", 60, parked=True)
    await start(home, nursery, daemon)
    stream = await connect()
    await asked(daemon, 1)
    daemon.go.set()
    answer = await rest(stream)
    assert answer.endswith(pages.PARKED.body)
    assert b"publisher of this pod has stopped it" in answer
    assert b"Retry-After" not in answer, "nobody knows when"


async def test_waiting_ends_with_the_limit(home, connect, nursery, daemon):
    await start(home, nursery, daemon, wake_limit=0.1)
    assert b"not ready within 0.1 seconds" in await rest(await connect())


async def test_a_pod_that_refuses_for_a_moment_is_reached(home, connect, nursery, daemon):
    await start(home, nursery, daemon)
    port = free_port()
    daemon.reply = WakeAddress("127.0.0.1", port)
    daemon.go.set()
    stream = await connect()
    await stream.send_all(b"hi")
    await trio.sleep(0.2)

    async def talk(pod):
        await pod.send_all(b"got " + await pod.receive_some(10))

    await nursery.start(trio.serve_tcp, talk, port)
    assert await rest(stream) == b"got hi"
    assert daemon.asked == [0]


async def test_a_pod_that_is_not_there_is_asked_for_again(home, connect, nursery, daemon):
    await start(home, nursery, daemon, reach=0.1)
    daemon.reply = WakeAddress("127.0.0.1", free_port())
    daemon.go.set()
    stream = await connect()
    await asked(daemon, 2)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery))
    await stream.send_eof()
    assert await rest(stream) == b"|end"


async def test_no_daemon_is_waited_for(home, connect, nursery, daemon):
    await start(home, nursery, None)
    stream = await connect()
    await stream.send_all(b"hi")
    await stream.send_eof()
    await trio.sleep(0.1)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery))
    daemon.go.set()
    await nursery.start(serve_wakes, home / "wake.sock", daemon.answer)
    assert await rest(stream) == b"hi|end"


async def test_who_goes_away_is_forgotten_and_so_is_the_question(home, connect, nursery, daemon):
    await start(home, nursery, daemon, max_held=1)
    stream = await connect()
    await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    await asked(daemon, 1)
    await stream.aclose()
    again = None

    async def taken() -> bool:
        nonlocal again
        again = await connect()
        with trio.move_on_after(0.05):
            await again.receive_some(1)
            return False  # refused: the place is still taken
        return True

    await until(taken, "the place is free")
    await asked(daemon, 2)
    await again.aclose()


async def test_large_data_both_ways_arrives_whole(home, connect, nursery, daemon):
    await start(home, nursery, daemon)
    daemon.reply = WakeAddress("127.0.0.1", await echo_pod(nursery))
    daemon.go.set()
    stream = await connect()
    data = bytes(range(256)) * 4096 * 8

    async def send():
        await stream.send_all(data)
        await stream.send_eof()

    nursery.start_soon(send)
    assert await rest(stream) == data + b"|end"


async def test_a_reset_on_one_side_ends_the_other(home, connect, nursery, daemon):
    await start(home, nursery, daemon)
    port = free_port()

    async def talk(pod):
        await pod.receive_some(10)
        pod.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    await nursery.start(trio.serve_tcp, talk, port)
    daemon.reply = WakeAddress("127.0.0.1", port)
    daemon.go.set()
    stream = await connect()
    await stream.send_all(b"hi")
    with trio.fail_after(5):
        with suppress(trio.BrokenResourceError):
            assert await stream.receive_some(10) == b""


async def test_stopping_waits_for_what_runs_and_no_longer(home, connect, nursery, daemon):
    stop = await start(home, nursery, daemon, drain=0.2)
    stream = await connect()
    await asked(daemon, 1)
    stop.set()
    with pytest.raises(OSError):
        await until_refused(connect)
    with trio.fail_after(2):
        assert await rest(stream) == b""


async def until_refused(connect) -> None:
    with trio.fail_after(2):
        while True:
            await (await connect()).aclose()
            await trio.sleep(0.01)


async def test_dial_gives_up_in_time():
    assert await splice.dial("127.0.0.1", free_port(), 1) is None
    with trio.fail_after(2):
        assert await splice.dial("192.0.2.1", 9, 0.1) is None
