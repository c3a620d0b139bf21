# SPDX-License-Identifier: Apache-2.0
"""Half a minute without a network, in the times that a person has: each verb says so, waits, and goes on."""

from contextlib import asynccontextmanager

import pytest
import trio

from tests.publisher.market.test_silence import relayed
from tests.publisher.verbs.streams.test_following import Followed
from tests.publisher.verbs.streams.test_port_forward import dial, echo
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.running.exec import execute, make_body
from trustedpods.publisher.verbs.streams.following import FollowOptions, follow_logs
from trustedpods.publisher.verbs.streams.port_forward import port_forward
from trustedpods.publisher.verbs.streams.ports import parse_ports

PAUSE_S = 30.0


@asynccontextmanager
async def command(bench, _peer):
    """`cat`: what is typed comes back."""
    typed, to_type = trio.open_memory_channel(0)
    shown, to_see = trio.open_memory_channel(10)

    async def read(_most):
        return await to_type.receive()

    async def write(_stream, data):
        await shown.send(data)

    async def run():
        body = make_body(["cat"], stdin=True)
        result = await execute(bench.account, "hello", body, read, write, VisitProgress(), bench.journal())
        assert result.exit_code == 0

    async def trip(word):
        await typed.send(word)
        assert await to_see.receive() == word

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        yield trip
        await typed.send(b"")


@asynccontextmanager
async def forwarded(bench, peer):
    """A connection to a server that sends back what comes."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(echo, 0, host="127.0.0.1", task_status=task_status)
        )
        peer.declared = {8080: listener.socket.getsockname()[1]}
        pairs, journal = parse_ports([":8080"]), bench.journal()
        async with (
            port_forward(bench.account, "hello", pairs, VisitProgress(), journal) as result,
            await dial(result.ports[0]) as stream,
        ):

            async def trip(word):
                await stream.send_all(word)
                assert await stream.receive_some() == word

            yield trip
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def logs(bench, peer):
    """Lines that a replica writes."""
    followed, journal = Followed(peer), bench.journal()
    async with follow_logs(bench.account, "hello", FollowOptions(), VisitProgress(), journal) as feed:

        async def trip(word):
            followed.write("one", word.decode())
            assert (await anext(feed)).text == word.decode()

        yield trip
        assert len(followed.bodies) == 1  # the first connection is still the one


@pytest.mark.parametrize("verb", [command, forwarded, logs], ids=["exec", "port-forward", "logs -f"])
async def test_half_a_minute_without_a_network_is_told_and_outlasted(bench, virtual_time, verb):
    peer = bench.peer()
    async with peer.serve(), relayed(peer.host.addresses[0]) as (network, address):
        await bench.deploy()
        bench.chain.rows[peer.owner, peer.daemon] = peer._row(address)
        async with verb(bench, peer) as trip:
            await trip(b"before")
            assert bench.last.show.warnings == []
            network.pause()
            began = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trip, b"meanwhile")
                await trio.sleep(PAUSE_S)
                network.go_on()
            assert trio.current_time() - began >= PAUSE_S
            with trio.fail_after(PAUSE_S):
                while len(bench.last.show.warnings) < 2:
                    await trio.sleep(0.1)
            silent, heard = bench.last.show.warnings
            assert silent.startswith("nothing came from the provider for ")
            assert heard.startswith("the provider is heard again, after ")
            await trip(b"after")
