# SPDX-License-Identifier: Apache-2.0
"""`port-forward` at the client, over real sockets and libp2p: loopback alone, connections that end apart."""

import contextlib
import random
import socket
from contextlib import asynccontextmanager

import pytest
import trio

from trustedpods.protocol.errors import Locked, NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.messages.forward import MAX_CONNECTIONS
from trustedpods.publisher.parallel import open_nursery
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.streams.port_forward import port_forward
from trustedpods.publisher.verbs.streams.ports import parse_ports

BYTES = random.Random(4).randbytes(1_000_000)


async def echo(stream):
    with contextlib.suppress(trio.BrokenResourceError):  # whoever goes in the middle leaves a reset
        while data := await stream.receive_some():
            await stream.send_all(data)
        await stream.send_eof()


async def greet(stream):
    """A server that speaks first, and takes nothing."""
    await stream.send_all(b"220 hello")


@asynccontextmanager
async def forwarded(bench, *ports, handler=echo, faults=()):
    """A pod that serves *handler* at port 8080, has nothing at 9090, and *ports* of it here."""
    async with open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(handler, 0, host="127.0.0.1", task_status=task_status)
        )
        peer = bench.peer(*faults)
        peer.declared = {8080: listener.socket.getsockname()[1], 9090: 1}
        async with peer.serve():
            await bench.deploy()
            journal = bench.journal()
            pairs = parse_ports(ports)
            async with port_forward(bench.account, "hello", pairs, VisitProgress(), journal) as result:
                yield result, journal
        nursery.cancel_scope.cancel()


async def dial(port):
    return await trio.open_tcp_stream("127.0.0.1", port.local)


async def all_of(stream):
    data = b""
    while piece := await stream.receive_some():
        data += piece
    return data


async def test_a_megabyte_comes_back_beside_another_connection(bench):
    async with forwarded(bench, ":8080") as (result, _):
        [port] = result.ports
        assert (port.host, port.port, port.container_port) == ("127.0.0.1", 8080, 8080)
        async with await dial(port) as idle, await dial(port) as busy, trio.open_nursery() as nursery:
            await idle.send_all(b"half")
            assert await idle.receive_some() == b"half"
            nursery.start_soon(busy.send_all, BYTES)
            got = b""
            while len(got) < len(BYTES):
                got += await busy.receive_some()
            assert got == BYTES
            await idle.send_all(b" more")
            await idle.send_eof()
            assert await all_of(idle) == b" more"
            await busy.send_eof()
            assert await all_of(busy) == b""


async def test_a_server_that_speaks_first_and_ends(bench):
    async with forwarded(bench, ":8080", handler=greet) as (result, _):
        for _ in range(2):
            async with await dial(result.ports[0]) as stream:
                assert await all_of(stream) == b"220 hello"


async def test_a_connection_that_is_refused_ends_no_other(bench):
    async with forwarded(bench, ":8080", ":9090") as (result, journal):
        good, bad = result.ports
        async with await dial(good) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
            async with await dial(bad) as other:
                with pytest.raises(trio.BrokenResourceError):
                    await all_of(other)
            await stream.send_all(b"y")
            assert await stream.receive_some() == b"y"
        assert any("port 9090: nothing listens there" in text for text in journal.show.warnings)


async def test_what_another_key_sealed_is_not_passed_on(bench):
    got = []

    async def ask():
        async with forwarded(bench, ":8080", faults=["seals-with-other-key"]) as (result, _):
            async with await dial(result.ports[0]) as stream:
                await stream.send_all(b"x")
                with contextlib.suppress(trio.BrokenResourceError):
                    got.append(await stream.receive_some())
            await trio.sleep_forever()

    with pytest.raises(RemoteProtocolError) as caught:
        await ask()
    assert (caught.value.rule, b"".join(got)) == ("output-seal", b"")


async def test_a_conversation_that_was_cut_is_no_end_of_its_connections(bench):
    seen = []

    async def ask():
        async with forwarded(bench, ":8080", faults=["cuts-output"]) as (result, _):
            async with await dial(result.ports[0]) as stream:
                await stream.send_all(b"x")
                with trio.CancelScope(shield=True), trio.fail_after(60):
                    try:
                        await all_of(stream)
                        seen.append("an end")
                    except trio.BrokenResourceError:
                        seen.append("a break")
            await trio.sleep_forever()

    with pytest.raises(NetworkFailure) as caught:
        await ask()
    assert (caught.value.rule, seen) == ("end", ["a break"])


async def test_one_connection_too_many_is_broken_and_not_ended(bench):
    async with forwarded(bench, ":8080") as (result, journal), contextlib.AsyncExitStack() as held:
        [port] = result.ports
        for _ in range(MAX_CONNECTIONS):
            stream = await held.enter_async_context(await dial(port))
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
        async with await dial(port) as stream:
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        assert any(f"{MAX_CONNECTIONS} connections are open" in text for text in journal.show.warnings)


async def test_what_the_pod_does_not_declare_is_refused_and_nothing_listens(bench):
    with pytest.raises(Refused) as caught:
        async with forwarded(bench, ":8080", ":9999"):
            pass
    assert caught.value.rule == "forward-port"


async def test_a_port_that_is_taken_here_is_told(bench):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        local = taken.getsockname()[1]
        with pytest.raises(Locked) as caught:
            async with forwarded(bench, f"{local}:8080"):
                pass
    assert f"{local + 1}:8080" in caught.value.hint


async def test_a_provider_that_goes_away_ends_the_block_and_frees_the_port(bench):
    ports = []

    async def hold():
        async with forwarded(bench, ":8080", faults=["hangs-up-on-commands"]) as (result, _):
            ports.extend(result.ports)
            await trio.sleep_forever()

    with pytest.raises(NetworkFailure):
        await hold()
    with pytest.raises(OSError, match="connect"):
        await dial(ports[0])
