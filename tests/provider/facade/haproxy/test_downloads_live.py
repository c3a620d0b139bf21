# SPDX-License-Identifier: Apache-2.0
"""Long answers, which the kernel carries past HAProxy in pipes: whole, counted, and left off cleanly."""

import hashlib
import random
import socket

import pytest
import trio

from tests.provider.facade.parts import HOST, Daemon, LiveFacade, Pod, get, until
from trustedpods.provider.core.traffic import SlotStats
from trustedpods.provider.facade.activator.wake import serve_wakes
from trustedpods.provider.facade.slots import SlotLimits

pytestmark = pytest.mark.live

MIB = 1024 * 1024
PIECES = 8
SIZE = PIECES * MIB
HEAD_MAX = 500
SMALL_WINDOW = 4096


class Source(Pod):
    """A pod with a long answer that repeats nothing; it closes as soon as the kernel has taken all of it."""

    async def on_noise(self, stream: trio.SocketStream, method: bytes, path: bytes, rest: bytes) -> None:
        """SIZE bytes with their length, and the end of the connection."""
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % SIZE)
        for index in range(PIECES):
            await stream.send_all(noise(index))
        await stream.aclose()


def noise(index: int) -> bytes:
    return random.Random(index).randbytes(MIB)


def whole() -> str:
    sum_ = hashlib.sha256()
    for index in range(PIECES):
        sum_.update(noise(index))
    return sum_.hexdigest()


@pytest.fixture
async def slot(live: LiveFacade, nursery: trio.Nursery) -> int:
    pod = Source("pod-a")
    await nursery.start(pod.run)
    made = (await live.facade.publish("a", [HOST])).slot
    await live.facade.set_pods(made, [pod.address])
    return made


async def stats(live: LiveFacade, slot: int) -> SlotStats:
    return (await live.facade.stats([slot]))[slot]


async def pipes(live: LiveFacade) -> int:
    """Pipes that HAProxy has made so far; it keeps them."""
    facts = dict(
        line.split(": ", 1) for line in (await live.runtime.command("show info")).splitlines() if line
    )
    return int(facts["PipesUsed"]) + int(facts["PipesFree"])


async def narrow_client(port: int) -> trio.SocketStream:
    """A client that takes little at a time, after its request."""
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_WINDOW)
    await sock.connect(("127.0.0.1", port))
    stream = trio.SocketStream(sock)
    await stream.send_all(f"GET /noise HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
    return stream


async def digest(stream: trio.SocketStream) -> str:
    """Of the body; the stream is read to its end."""
    sum_, head = hashlib.sha256(), b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive_some(SMALL_WINDOW)
    sum_.update(head.partition(b"\r\n\r\n")[2])
    while data := await stream.receive_some(SMALL_WINDOW):
        sum_.update(data)
    return sum_.hexdigest()


async def test_a_long_answer_passes_in_a_pipe_whole_and_counted(live: LiveFacade, slot: int) -> None:
    assert await pipes(live) == 0
    answer = await get(live.port, HOST, "/noise")
    assert (len(answer.body), hashlib.sha256(answer.body).hexdigest()) == (SIZE, whole())
    assert await pipes(live) > 0, "the fast way was taken"
    assert 0 <= (await stats(live, slot)).bytes_out - SIZE < HEAD_MAX


async def test_so_it_does_through_the_activator(live: LiveFacade, nursery: trio.Nursery) -> None:
    daemon = Daemon(Source("pod-a"), nursery)
    await nursery.start(serve_wakes, live.wake_socket, daemon.answer)
    slot = (await live.facade.publish("a", [HOST])).slot
    answer = await get(live.port, HOST, "/noise")
    assert (len(answer.body), hashlib.sha256(answer.body).hexdigest()) == (SIZE, whole())
    assert await pipes(live) > 0
    assert 0 <= (await stats(live, slot)).bytes_out - SIZE < HEAD_MAX


async def test_so_it_does_where_the_request_is_counted(live: LiveFacade, nursery: trio.Nursery) -> None:
    pod = Source("pod-a")
    await nursery.start(pod.run)
    limits = SlotLimits(body_bytes=1000, stream_bytes=1000)
    slot = (await live.facade.publish("a", [HOST], limits=limits)).slot
    await live.facade.set_pods(slot, [pod.address])
    head = f"POST /noise HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(head.encode() + b"4\r\nbody\r\n0\r\n\r\n")
        assert await digest(stream) == whole()
    assert await pipes(live) > 0
    assert 0 <= (await stats(live, slot)).bytes_out - SIZE < HEAD_MAX


async def test_slow_clients_get_all_of_what_a_closed_pod_has_sent(live: LiveFacade, slot: int) -> None:
    digests: list[str] = []

    async def client() -> None:
        async with await narrow_client(live.port) as stream:
            digests.append(await digest(stream))

    async with trio.open_nursery() as clients:
        for _ in range(4):
            clients.start_soon(client)
    assert digests == [whole()] * 4
    assert await pipes(live) > 0
    assert 0 <= (await stats(live, slot)).bytes_out - 4 * SIZE < 4 * HEAD_MAX


async def test_an_answer_counts_while_it_passes_and_who_leaves_is_gone(live: LiveFacade, slot: int) -> None:
    async with await narrow_client(live.port) as stream:
        got = 0
        while got < SIZE // 2:
            got += len(await stream.receive_some(SMALL_WINDOW))

        async def counted() -> bool:
            return (await stats(live, slot)).bytes_out >= got

        await until(counted, "bytes count while the answer passes")

    async def ended() -> bool:
        return (await stats(live, slot)).current == 0

    await until(ended, "the stream has ended")
    assert got <= (await stats(live, slot)).bytes_out < SIZE + HEAD_MAX
    facts = await live.runtime.command("show info")
    assert "\nPipesUsed: 0\n" in facts, "its pipe is free again"


async def test_small_answers_take_no_pipe(live: LiveFacade, slot: int) -> None:
    for _ in range(50):
        assert (await get(live.port, HOST)).status == 200
    assert await pipes(live) == 0
