# SPDX-License-Identifier: Apache-2.0
"""No page of HAProxy's own reaches a caller, whatever it sends."""

from pathlib import Path

import pytest
import trio

from tests.provider.facade.haproxy.test_requests import ALONE, raw, request
from tests.provider.facade.parts import LiveFacade, Pod, everything, live_facade, until
from trustedpods.provider.facade.haproxy.config import FacadeLimits
from trustedpods.provider.facade.haproxy.unread import lua
from trustedpods.provider.facade.pages import BAD_BODY

BODY = "POST / HTTP/1.1\r\nHost: alone.localhost\r\nConnection: close\r\n"

UNREAD = {
    "tls to a port without": (bytes.fromhex("16030100050100000100"), 400),
    "nonsense": (b"\0\1\2\3\r\n\r\n", 400),
    "no version": (b"GET /\r\n\r\n", 400),
    "another protocol": (b"SSH-2.0-client\r\n\r\n", 400),
    "space before a colon": (request("/", ALONE, "X : 1"), 400),
    "bytes beyond ascii in the address": (request("/gr\xfcn".encode("latin-1"), ALONE), 400),
    "a fragment": (request("/a#b", ALONE), 400),
    "two lengths": (BODY.encode() + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "a length that is none": (BODY.encode() + b"Content-Length: x\r\n\r\n", 400),
    "coded": (BODY.encode() + b"Transfer-Encoding: gzip\r\n\r\n", 501),
    "coded and chunked": (BODY.encode() + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "nothing": (b"", 408),
    "a beginning": (b"GET / HT", 408),
    "a line": (b"GET / HTTP/1.1\r\nHost: a", 408),
    "no last line": (f"GET / HTTP/1.1\r\nHost: {ALONE}\r\n".encode(), 408),
}


async def test_every_word_of_a_page_is_escaped_for_lua():
    text = lua()
    assert text.isascii()
    assert "%(" not in text


@pytest.mark.live
async def test_what_cannot_be_read_gets_our_page_that_is_true(tmp_path: Path, nursery: trio.Nursery):
    async with live_facade(tmp_path, limits=FacadeLimits(header_s=1)) as live:
        await serve(live, nursery)
        for name, (data, status) in UNREAD.items():
            found, page = await raw(live.port, data)
            assert (name, found) == (name, status), page
            assert page.startswith(b"%d " % status)
            assert b"<html>" not in page


@pytest.mark.live
async def test_a_later_request_that_cannot_be_read_ends_the_connection_without_a_page(
    live: LiveFacade, nursery: trio.Nursery
):
    """As an idle one may be ended: who asks again on a new one sees why."""
    await serve(live, nursery)
    async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
        await stream.send_all(f"GET /keep HTTP/1.1\r\nHost: {ALONE}\r\n\r\n".encode())
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200 ")
        await stream.send_all(b"nonsense\r\n\r\n")
        with trio.fail_after(20):
            assert await everything(stream) == b""


BROKEN_BODIES = {
    "no size": b"2\r\nab\r\nzz\r\n",
    "longer than its size": b"2\r\nabc\r\n",
    "a size below nothing": b"-1\r\n",
    "a size beyond 64 bits": b"1" + b"0" * 17 + b"\r\n",
}


@pytest.mark.live
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("together", [False, True])
async def test_a_body_whose_chunks_are_none_gets_its_page_if_it_breaks_after_its_headers(
    live: LiveFacade, nursery: trio.Nursery, kept: bool, together: bool
):
    """One that is broken in the packet of its headers ends the connection: HAProxy has no pod for it yet."""
    await serve(live, nursery)
    head = BODY.replace("POST /", "POST /hold").replace("Connection: close\r\n", "")
    head += "Transfer-Encoding: chunked\r\n\r\n"
    for name, body in BROKEN_BODIES.items():
        async with await trio.open_tcp_stream("127.0.0.1", live.port) as stream:
            if kept:
                await stream.send_all(f"GET / HTTP/1.1\r\nHost: {ALONE}\r\n\r\n".encode())
                assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 200 ")
            if together:
                await stream.send_all(head.encode() + body)
            else:
                await stream.send_all(head.encode())
                slot = live.facade.slot_of("alone")
                assert slot is not None
                await until(lambda number=slot: busy(live, number), "the pod has the headers")
                await stream.send_all(body)
            with trio.fail_after(20):
                answer = await everything(stream)
        if together:
            assert (name, answer) == (name, b"")
        else:
            assert answer.startswith(b"HTTP/1.1 400 "), (name, answer)
            assert b"\r\n\r\n" + BAD_BODY.body in answer


async def busy(live: LiveFacade, slot: int) -> bool:
    return (await live.facade.stats([slot]))[slot].current == 1


async def serve(live: LiveFacade, nursery: trio.Nursery) -> None:
    pod = Pod("alone")
    await nursery.start(pod.run)
    await live.facade.set_pods((await live.facade.publish("alone", [ALONE])).slot, [pod.address])
