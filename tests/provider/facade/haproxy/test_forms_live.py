# SPDX-License-Identifier: Apache-2.0
"""Callers and pods that end their half of a connection, or write HTTP in older forms, are served."""

import re
import socket

import pytest
import trio

from tests.provider.facade.parts import HOST, LiveFacade, Pod, everything, until
from trustedpods.provider.facade.pages import BAD_ANSWER
from trustedpods.provider.facade.pools import SlotProtocol

pytestmark = pytest.mark.live

OK = b"Connection: close\r\nContent-Length: 2\r\n\r\nok"
ANSWERS = {
    "no-length": b"HTTP/1.1 200 OK\r\n\r\nok",
    "http10": b"HTTP/1.0 200 OK\r\n\r\nok",
    "http10-length": b"HTTP/1.0 200 OK\r\n" + OK,
    "no-reason": b"HTTP/1.1 200\r\n" + OK,
    "folded": b"HTTP/1.1 200 OK\r\nX-Long: a\r\n b\r\n" + OK,
    "bare-line-feeds": b"HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nok",
    "bytes-beyond-ascii": "HTTP/1.1 200 OK\r\nX-Name: grün\r\n".encode() + OK,
    "one-length-twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + OK,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n" + OK,
    "early-hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n" + OK,
    "chunked": b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;x=y\r\nok\r\n0\r\n\r\n",
}
REQUESTS = {
    "1.1": b"GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n",
    "1.0": b"GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n",
    "bare line feeds": b"GET /%s HTTP/1.1\nHost: %s\n\n",
    "empty lines first": b"\r\n\r\nGET /%s HTTP/1.1\r\nHost: %s\r\n\r\n",
    "absolute": b"GET http://" + HOST.encode() + b"/%s HTTP/1.1\r\nHost: %s\r\n\r\n",
    "folded": b"GET /%s HTTP/1.1\r\nHost: %s\r\nX-Long: a\r\n b\r\n\r\n",
    "chunks with extensions": b"POST /%s HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;a=b\r\nhi\r\n0\r\n\r\n",
}


class Old(Pod):
    """Writes the answer that the path names, ends its half, and goes on reading."""

    async def on_(self, stream, method, path, rest) -> None:
        if path == b"/late":
            await self.hold.wait()
            await stream.send_all(b"HTTP/1.1 200 OK\r\n" + OK)
        elif path == b"/upgrade":
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
            )
            heard = await everything(stream)
            await stream.send_all(b"heard " + rest + heard)
        elif path == b"/nothing":
            await self.hold.wait()
        else:
            await stream.send_all(ANSWERS[path.decode().strip("/")])
        await stream.send_eof()
        await everything(stream)


@pytest.fixture
async def pod(live: LiveFacade, nursery: trio.Nursery):
    made = Old("old", on_any=True)
    await nursery.start(made.run)
    await live.facade.set_pods((await live.facade.publish("a", [HOST])).slot, [made.address])
    return made


async def said(live: LiveFacade, data: bytes, *, end: bool = True) -> bytes:
    """The answer to bytes after which the caller ends its half, or waits for the end."""
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        if end:
            await stream.socket.send(data, socket.MSG_MORE)  # the end comes in the same packet
            await stream.send_eof()
        else:
            await stream.send_all(data)
        with trio.fail_after(30):
            return await everything(stream)


async def test_every_form_of_request_and_answer_passes_whoever_has_ended_a_half(live: LiveFacade, pod: Old):
    for name, form in REQUESTS.items():
        answer = await said(live, form % (b"http10-length", HOST.encode()))
        assert (name, answer[:12], answer[-2:]) == (name, b"HTTP/1.0 200", b"ok")
    for path in ANSWERS:
        answer = await said(live, REQUESTS["1.1"] % (path.encode(), HOST.encode()))
        assert (path, b" 200 " in answer, b"ok" in answer) == (path, True, True), answer


async def test_an_end_that_comes_with_the_request_is_no_end_however_late_they_come(
    live: LiveFacade, pod: Old
):
    """HAProxy looks at a connection that says nothing, or half of a request, before it sees the end."""
    request = REQUESTS["1.1"] % (b"http10-length", HOST.encode())
    for first in (0, 1, len(request) // 2, len(request) - 1):
        async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
            await stream.send_all(request[:first])
            await until(lambda count=first: received(live, count), "HAProxy has the beginning")
            await stream.socket.send(request[first:], socket.MSG_MORE)
            await stream.send_eof()
            with trio.fail_after(30):
                answer = await everything(stream)
            assert (first, answer[:12], answer[-2:]) == (first, b"HTTP/1.0 200", b"ok")


async def received(live: LiveFacade, count: int) -> bool:
    """Whether HAProxy has so many bytes of a caller, and waits for more."""
    text = await live.runtime.command("show sess all")
    return any(
        int(found) == count
        for found in re.findall(r"frontend=web .*?\n  req=.*? total=(\d+)\)", text, re.DOTALL)
    )


@pytest.mark.parametrize("form", ["1.1", "chunks with extensions"])
@pytest.mark.parametrize("end", ["never", "with the request", "after the request"])
async def test_who_gets_no_answer_is_told_so_whenever_it_ended_its_half(
    live: LiveFacade, pod: Old, form: str, end: str
):
    """The pod ends only when HAProxy has seen all that the caller does."""
    slot = (await live.facade.publish("a", [HOST])).slot
    request = REQUESTS[form] % (b"nothing", HOST.encode())

    async def in_flight() -> bool:
        return (await live.facade.stats([slot]))[slot].current == 1

    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        if end == "with the request":
            await stream.socket.send(request, socket.MSG_MORE)  # the end comes in the same packet
            await stream.send_eof()
        else:
            await stream.send_all(request)
        await until(in_flight, "it is in flight")
        if end == "after the request":
            await stream.send_eof()
            await until(lambda: seen_to_end(live), "HAProxy sees the end")
        pod.hold.set()
        with trio.fail_after(30):
            answer = await everything(stream)
    assert answer.startswith(b"HTTP/1.1 502 "), answer
    assert answer.endswith(b"\r\n\r\n" + BAD_ANSWER.body)


async def seen_to_end(live: LiveFacade) -> bool:
    """Whether HAProxy knows that a caller has ended its half (CF_SHUTR of a request's channel)."""
    flags = re.findall(r" req=0x\S+ \(f=0x([0-9a-f]+)", await live.runtime.command("show sess all"))
    return any(int(flag, 16) & 0x20 for flag in flags)


async def test_who_ended_its_half_gets_a_late_answer_and_who_is_gone_is_let_go(live: LiveFacade, pod: Old):
    request = REQUESTS["1.1"] % (b"late", HOST.encode())
    slot = live.facade.slot_of("a")
    assert slot is not None

    async def in_flight(number: int) -> bool:
        return (await live.facade.stats([slot]))[slot].current == number

    gone = await trio.open_tcp_stream("127.0.0.1", live.port)
    await gone.send_all(request)
    await until(lambda: in_flight(1), "it is in flight")
    gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    await gone.aclose()
    await until(lambda: in_flight(0), "who is gone is let go")
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(request)
        await stream.send_eof()
        await until(lambda: in_flight(1), "it is in flight")
        await trio.sleep(1.5)  # longer than HAProxy needs to see the end
        assert await in_flight(1)
        pod.hold.set()
        assert (await everything(stream)).endswith(b"ok")


async def test_halves_of_upgraded_and_of_plain_connections_end_one_by_one(
    live: LiveFacade, pod: Old, nursery
):
    head = f"GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(head.encode())
        assert b" 101 " in await stream.receive_some(4096)
        await stream.send_all(b"abc")
        await stream.send_eof()
        assert await everything(stream) == b"heard abc"
    slot = (await live.facade.publish("raw", [], SlotProtocol.TCP)).slot
    await live.facade.set_pods(slot, [pod.address])
    async with await trio.open_tcp_stream("127.0.0.1", live.config.tcp_binds[0].port) as stream:
        await stream.send_all(b"GET /no-length HTTP/1.1\r\n\r\n")
        await stream.send_eof()
        assert await everything(stream) == ANSWERS["no-length"]
