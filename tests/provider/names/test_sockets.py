# SPDX-License-Identifier: Apache-2.0
"""The resolver's sockets: both protocols, and callers who talk too much or not at all."""

import dns.message
import pytest
import trio
import trio.testing

from trustedpods.provider.dns import wire
from trustedpods.provider.names.sockets import serve_names
from trustedpods.provider.names.talks import MAX_TALKS_OF_ONE

HOST = "127.0.0.1"
QUESTION = dns.message.make_query("a.example", "A").to_wire()


class Resolver:
    """Answers every question that is one."""

    async def reply(self, data, address, *, tcp=False):
        asked = wire.question(data)
        return None if asked is None else wire.answer(asked, "there", ["203.0.113.7"], 30, tcp=tcp)


@pytest.fixture
async def port(nursery):
    with trio.socket.socket() as probe:
        await probe.bind((HOST, 0))
        number = probe.getsockname()[1]
    await nursery.start(serve_names, Resolver(), HOST, number)
    return number


async def test_udp(port):
    with trio.socket.socket(type=trio.socket.SOCK_DGRAM) as made:
        await made.sendto(b"nonsense", (HOST, port))
        await made.sendto(QUESTION, (HOST, port))
        with trio.fail_after(5):
            answer = dns.message.from_wire(await made.recv(4096))
    assert answer.answer[0][0].to_text() == "203.0.113.7"


async def test_tcp(port):
    async with await trio.open_tcp_stream(HOST, port) as stream:
        for piece in (b"\0", bytes([len(QUESTION)]) + QUESTION[:5], QUESTION[5:]):
            await stream.send_all(piece)
        with trio.fail_after(5):
            said = b"".join([data async for data in stream])
    assert dns.message.from_wire(said[2:]).answer[0][0].to_text() == "203.0.113.7"


@pytest.mark.parametrize("said", [b"\0\0", b"\xff\xff", b"\0\x09nonsense!"])
async def test_what_is_no_question_is_hung_up_on(port, said):
    async with await trio.open_tcp_stream(HOST, port) as stream:
        await stream.send_all(said)
        with trio.fail_after(5):
            assert await stream.receive_some() == b""


async def test_who_talks_too_often_is_hung_up_on_and_udp_goes_on(port):
    streams = [await trio.open_tcp_stream(HOST, port) for _ in range(MAX_TALKS_OF_ONE)]
    await trio.testing.wait_all_tasks_blocked(0.05)
    async with await trio.open_tcp_stream(HOST, port) as one_too_many:
        with trio.fail_after(5):
            assert await one_too_many.receive_some() == b""
    await test_udp(port)
    for stream in streams:
        await stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.05)
    await test_tcp(port)
