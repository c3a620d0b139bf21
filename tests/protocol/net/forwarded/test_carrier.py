# SPDX-License-Identifier: Apache-2.0
"""Two ends over a link that takes its time, a real socket at each: nothing stalls, is lost, or is made up."""

import errno
import random
import socket
import struct
from contextlib import asynccontextmanager

import pytest
import trio

from trustedpods.protocol.messages.forward import WINDOW
from trustedpods.protocol.net.forwarded.carrier import Carriers

BYTES = random.Random(7).randbytes(5_000_000)
LATENCY_S = 0.02
RESETS = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Link:
    """Two ends of one conversation: what one says, the other notes *latency_s* later."""

    def __init__(self, nursery, latency_s=0.0):
        self.ends = (Carriers(4), Carriers(4))
        for source, target in (self.ends, self.ends[::-1]):
            send, receive = trio.open_memory_channel(1000)
            nursery.start_soon(self._say, source, send)
            nursery.start_soon(self._note, target, receive, latency_s)

    async def _say(self, source, send):
        while True:
            carrier, piece = await source.next_piece()
            await send.send((trio.current_time(), carrier.number, piece))

    async def _note(self, target, receive, latency_s):
        async for said, number, piece in receive:
            await trio.sleep_until(said + latency_s)
            if (carrier := target.get(number)) is None:
                continue
            if piece.closed is not None:
                target.drop(carrier)
            else:
                carrier.note(piece.data, end=piece.end, taken=piece.taken)


@asynccontextmanager
async def connected(buffer):
    """Both sides of a TCP connection; *buffer* is what the kernel holds of what goes out, None its own."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0] as listener:
        if buffer is not None:
            listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        outside = trio.SocketStream(trio.socket.socket())
        if buffer is not None:
            outside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        await outside.socket.connect(listener.socket.getsockname())
        inside = await listener.accept()
    async with outside, inside:
        yield outside, inside


@asynccontextmanager
async def carried(latency_s=0.0, buffer=None):
    """What the app has, what the pod has, the two that carry between them, and their link."""
    async with (
        connected(buffer) as (app, here),
        connected(None) as (pod, there),
        trio.open_nursery() as nursery,
    ):
        link = Link(nursery, latency_s)
        carriers = []
        for end, stream in zip(link.ends, (here, there), strict=True):
            carrier = end.add(0)

            async def dial(stream=stream):
                await trio.lowlevel.checkpoint()
                return stream

            nursery.start_soon(carrier.run, dial)
            carriers.append(carrier)
        yield app, pod, carriers, link
        nursery.cancel_scope.cancel()


async def all_of(stream, pause_after=None, pause_s=0.0):
    data = bytearray()
    while piece := await stream.receive_some(65536):
        data += piece
        if pause_after is not None and len(data) >= pause_after:
            pause_after = None
            await trio.sleep(pause_s)
    return bytes(data)


async def is_reset(stream):
    """Whether it broke, and did not merely end; what came before that."""
    data = bytearray()
    try:
        while piece := await stream.receive_some(65536):
            data += piece
    except trio.BrokenResourceError as error:
        return error.__cause__.errno == errno.ECONNRESET, bytes(data)
    return False, bytes(data)


async def say_all(stream, data):
    await stream.send_all(data)
    await stream.send_eof()


@pytest.mark.parametrize("latency_s", [0.0, LATENCY_S])
async def test_megabytes_both_ways_over_a_link_with_latency(latency_s):
    async with carried(latency_s) as (app, pod, _, link), trio.open_nursery() as nursery:
        nursery.start_soon(say_all, app, BYTES)
        nursery.start_soon(say_all, pod, BYTES[::-1])
        got = []

        async def read(stream):
            got.append(await all_of(stream))

        with trio.fail_after(30):
            async with trio.open_nursery() as reading:
                reading.start_soon(read, app)
                reading.start_soon(read, pod)
            assert sorted(got) == sorted([BYTES, BYTES[::-1]])
            while any(map(len, link.ends)):
                await trio.sleep(0.01)


async def test_thirty_megabytes_for_a_reader_that_pauses():
    data = BYTES * 6
    async with carried() as (app, pod, _, _link), trio.open_nursery() as nursery:
        nursery.start_soon(say_all, pod, data)
        with trio.fail_after(60):
            assert await all_of(app, pause_after=10_000_000, pause_s=0.5) == data


async def test_a_pod_that_closes_while_it_is_sent_to_breaks_the_senders_connection():
    async with carried() as (app, pod, _, link):
        with trio.fail_after(10):
            await app.send_all(BYTES[:100_000])
            await pod.receive_some(1000)
            await pod.aclose()
            with pytest.raises(trio.BrokenResourceError):
                await app.send_all(BYTES * 10)
            while any(map(len, link.ends)):
                await trio.sleep(0.01)


async def test_a_broken_connection_is_broken_at_the_other_end_too():
    async with carried() as (app, pod, _, _link):
        with trio.fail_after(10):
            await pod.send_all(b"half")
            assert await app.receive_some() == b"half"
            pod.setsockopt(*RESETS)
            await pod.aclose()
            assert (await is_reset(app))[0]


async def test_whoever_goes_leaves_a_broken_connection_and_no_end():
    async with carried() as (app, pod, carriers, _link):
        with trio.fail_after(10):
            await app.send_all(b"half")
            assert await pod.receive_some() == b"half"
            carriers[1].scope.cancel()
            assert (await is_reset(pod))[0]


async def test_what_came_before_a_break_reaches_a_slow_reader():
    data = BYTES[: WINDOW - 1]
    async with carried(buffer=4096) as (app, pod, carriers, link):
        with trio.fail_after(20):
            await pod.send_all(data)
            while carriers[0].paced._came < len(data):
                await trio.sleep(0.01)
            assert carriers[0].paced.has_input  # more than the kernel's buffers took
            pod.setsockopt(*RESETS)
            await pod.aclose()
            while len(link.ends[0]):
                await trio.sleep(0.01)
            assert await is_reset(app) == (True, data)
