# SPDX-License-Identifier: Apache-2.0
"""The server over real sockets: loopback only, one link, and an end without waiting."""

import socket
from contextlib import suppress

import httpx
import pytest
import trio

from tests.fakes.page.reader import FakeReader
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.local_page.server import listen
from trustedpods.publisher.page.server import serve_page


async def start(nursery, reader):
    """Serve; returns the link."""
    links = []
    told = trio.Event()

    def tell(link):
        links.append(link)
        told.set()

    nursery.start_soon(serve_page, listen(0), reader, tell)
    with trio.fail_after(10):
        await told.wait()
    return links[0]


async def test_the_link_leads_to_the_pods_and_the_end_comes_at_once(nursery):
    link = await start(nursery, FakeReader())
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        page = await browser.get(link)
        assert page.status_code == 200
        assert "web.example" in page.text
        assert "server" not in page.headers
        with trio.fail_after(5):
            nursery.cancel_scope.cancel()


async def test_it_listens_on_the_loopback_address_alone(nursery):
    port = int((await start(nursery, FakeReader())).split(":")[2].split("/")[0])
    table = await trio.Path("/proc/net/tcp").read_text()
    bound = [line.split()[1] for line in table.splitlines()[1:] if line.split()[3] == "0A"]
    assert [one for one in bound if one.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


async def test_garbage_ends_its_own_connection_only(nursery):
    link = await start(nursery, FakeReader())
    port = int(link.split(":")[2].split("/")[0])
    for garbage in (b"\x16\x03\x01" + bytes(2000), b"GET / HTTP/1.1\r\nHost: " + b"a" * 100_000, b"\r\n\r\n"):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            with suppress(trio.BrokenResourceError):
                await stream.send_all(garbage)
    async with httpx.AsyncClient(follow_redirects=True) as browser:
        assert (await browser.get(link)).status_code == 200


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(BadInput) as caught:
            listen(taken.getsockname()[1])
    assert (caught.value.where, caught.value.hint) == ("--port", "leave it out for a free one")
