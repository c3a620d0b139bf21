# SPDX-License-Identifier: Apache-2.0
"""A network that pauses: it is told, waited for, and given up at last."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from tests.protocol.net import peers
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.net import open_host
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.protocol_ids import PROVIDER
from trustedpods.publisher.market.session import DaemonSession
from trustedpods.publisher.market.silence import SilenceWatch, patient_bounds
from trustedpods.publisher.market.timing import Timing


class Network:
    """What lies between two peers: a relay that passes nothing on while it is paused."""

    def __init__(self, address):
        self._target = PeerAddress.parse(address)
        self._open = trio.Event()
        self._open.set()

    def pause(self):
        self._open = trio.Event()

    def go_on(self):
        self._open.set()

    async def serve(self, stream):
        there = await trio.open_tcp_stream(self._target.host, self._target.port)
        async with stream, there, trio.open_nursery() as nursery:
            nursery.start_soon(self._carry, stream, there)
            await self._carry(there, stream)
            nursery.cancel_scope.cancel()

    async def _carry(self, source, target):
        while data := await source.receive_some():
            await self._open.wait()
            await target.send_all(data)


@asynccontextmanager
async def relayed(address):
    """A network before the peer of *address*, and the address on this side of it."""
    network = Network(address)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(
            lambda task_status: trio.serve_tcp(network.serve, 0, host="127.0.0.1", task_status=task_status)
        )
        port = listener.socket.getsockname()[1]
        yield network, str(PeerAddress("ip4", "127.0.0.1", port, PeerAddress.parse(address).peer_id))
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def dialled(timing):
    """A session with an echo behind a network, and the network."""
    async with (
        open_host(None, peers.LOOPBACK) as server,
        open_host(None, [], patient_bounds(timing)) as client,
    ):
        server.serve(PROVIDER, peers.echo)
        async with (
            relayed(server.addresses[0]) as (network, address),
            client.dial(address) as connection,
        ):
            yield DaemonSession(connection, None, SimpleNamespace(timing=timing)), network


async def test_a_pause_is_told_and_outlasted():
    told = []
    timing = Timing(heartbeat_s=0.1, quiet_s=0.4, pause_s=60)
    async with dialled(timing) as (session, network), trio.open_nursery() as nursery:
        watch = SilenceWatch(session, told.append)
        nursery.start_soon(watch.run)
        async with session._connection.stream(PROVIDER) as stream:
            await stream.send(b"before")
            assert await stream.receive(100) == b"before"
            network.pause()
            await stream.send(b"meanwhile")
            await peers.eventually(lambda: told)
            assert watch.silent
            network.go_on()
            assert await stream.receive(100) == b"meanwhile"
            await peers.eventually(lambda: len(told) == 2)
        nursery.cancel_scope.cancel()
    assert told[0].startswith("nothing came from the provider for ")
    assert "for 60 s at most" in told[0]
    assert told[1].startswith("the provider is heard again, after ")


async def test_a_quiet_command_is_no_silence():
    told = []
    async with dialled(Timing(heartbeat_s=0.05, quiet_s=0.5)) as (session, _), trio.open_nursery() as nursery:
        nursery.start_soon(SilenceWatch(session, told.append).run)
        await trio.sleep(1.2)
        nursery.cancel_scope.cancel()
    assert told == []


async def test_a_pause_that_never_ends_is_a_lost_connection():
    timing = Timing(heartbeat_s=0.1, quiet_s=0.2, pause_s=0.8)
    async with dialled(timing) as (session, network):
        async with session._connection.stream(PROVIDER) as stream:
            network.pause()
            with pytest.raises(NetworkFailure):
                await stream.receive(100, timeout=peers.PATIENCE_S)
        network.go_on()


def test_the_bounds_outlast_half_a_minute():
    bounds = patient_bounds(Timing())
    assert bounds.heartbeat_s * bounds.heartbeats >= 60
    assert 2 * bounds.heartbeat_s < Timing().quiet_s
