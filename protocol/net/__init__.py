# SPDX-License-Identifier: Apache-2.0
"""The only door to libp2p: authenticated, encrypted streams of frames between two peers.

Built from py-libp2p's Noise handshake, yamux multiplexer and multistream negotiation, without
its swarm: connections, their limits, their end and every write are ours, because the swarm of
0.8.1 can be impersonated, stalled and stopped by any stranger (docs/protocol.md lists how, and
tests/protocol/net has one test for each). On the wire it is plain libp2p: TCP, /noise,
/yamux/1.0.0, and the protocols that a host serves (`protocol_ids`).

No business decision is made here: a stream carries payloads, its other end has a proven peer id.
libp2p is loaded when a host is opened, or a name below is asked for but `open_host` and `Bounds`.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

from trustedpods.protocol.net.bounds import Bounds

if TYPE_CHECKING:
    from trustedpods.protocol.net.connection import Connection
    from trustedpods.protocol.net.host import Host
    from trustedpods.protocol.net.streams import FrameStream

__all__ = ["Bounds", "Connection", "FrameStream", "Host", "open_host"]

_PLACES = {"Connection": "connection", "FrameStream": "streams", "Host": "host"}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


@asynccontextmanager
async def open_host(
    seed: bytes | None, listen: Sequence[str], bounds: Bounds | None = None
) -> AsyncIterator["Host"]:
    """A host with the identity of a 32-byte *seed* (a new one for None), listening on *listen*.

    Multiaddrs look like `/ip4/127.0.0.1/tcp/0`; an empty list makes a host that only dials.
    Leaving the block ends all its connections. Raises what `Host.listen` raises.
    """
    from trustedpods.protocol.net.host import running_host  # noqa: PLC0415 - libp2p takes long to import

    async with running_host(seed, listen, bounds or Bounds()) as host:
        yield host
