# SPDX-License-Identifier: Apache-2.0
"""Peers for the tests of the network door: honest ones, and those that misbehave below its API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.network.config import ConnectionConfig
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE
from libp2p.security.noise.transport import Transport as NoiseTransport
from multiaddr import Multiaddr

from trustedpods.protocol.net import Bounds, FrameStream, Host
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.net.transport import RawConnection
from trustedpods.protocol.net.upgrade import Identity, upgrade_outbound
from trustedpods.protocol.net.yamux import BoundedYamux
from trustedpods.protocol.protocol_ids import PROVIDER

PATIENCE_S = 60.0
"""How long anything may take that is no promise itself, on a busy, slow machine."""

LOOPBACK = ["/ip4/127.0.0.1/tcp/0"]
ANY = Multiaddr(LOOPBACK[0])


async def echo(stream: FrameStream) -> None:
    """Send back every frame, until the stream ends."""
    while True:
        await stream.send(await stream.receive(timeout=None))


async def assert_served(client: Host, address: str) -> None:
    """An honest client gets its answer."""
    with trio.fail_after(PATIENCE_S):
        async with client.dial(address) as connection, connection.stream(PROVIDER) as stream:
            await stream.send(b"honest")
            assert await stream.receive(100) == b"honest"


async def eventually(condition, seconds: float = PATIENCE_S) -> None:
    """Wait until *condition* holds, for at most so long."""
    with trio.fail_after(seconds):
        while not condition():
            await trio.sleep(0.01)


@asynccontextmanager
async def tcp(address: str) -> AsyncIterator[trio.SocketStream]:
    """A bare TCP connection to a host."""
    target = PeerAddress.parse(address)
    async with await trio.open_tcp_stream(target.host, target.port) as stream:
        yield stream


@asynccontextmanager
async def muxer(address: str, *, run: bool = True, seed: bytes | None = None) -> AsyncIterator[BoundedYamux]:
    """An authenticated yamux connection to a host, below the door's API; silent if not run."""
    target = PeerAddress.parse(address)
    stream = await trio.open_tcp_stream(target.host, target.port)
    raw = RawConnection(stream, initiator=True)
    made = await upgrade_outbound(
        raw, Identity.from_seed(seed), target.peer_id or b"", Bounds(), lambda _size: None
    )
    async with trio.open_nursery() as nursery:
        if run:
            nursery.start_soon(made.run)
        try:
            yield made
        finally:
            raw.abort()
            nursery.cancel_scope.cancel()


def bare_host(*, noise_only: bool = True, listen: bool = False, security: dict | None = None, keys=None):
    """A host of py-libp2p's own, with its defaults or hardened by Noise only."""
    keys = keys or create_new_key_pair()
    if noise_only and security is None:
        security = {NOISE: NoiseTransport(keys, noise_privkey=create_noise_key_pair().private_key)}
    return new_host(
        key_pair=keys,
        sec_opt=security,
        listen_addrs=[ANY] if listen else None,
        connection_config=ConnectionConfig(max_connections_per_peer=1),
    )
