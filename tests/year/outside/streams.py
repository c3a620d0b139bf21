# SPDX-License-Identifier: Apache-2.0
"""A host without a network: conversations between publishers and the daemon, frame by frame, in memory."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trustedpods.protocol.errors import NetworkFailure

PEER_ID = b"\x00\x24\x08\x01\x12\x20" + bytes(32)
ADDRESS = "/ip4/192.0.2.1/tcp/4001/p2p/simulated"


class MemoryStream:
    """One end of a conversation, with the calls of `protocol.net.FrameStream`."""

    def __init__(self, sends, receives, remote_host):
        self.remote_peer_id, self.remote_host = remote_host.encode(), remote_host
        self._sends, self._receives = sends, receives

    async def send(self, payload):
        try:
            await self._sends.send(bytes(payload))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise NetworkFailure("the peer is gone", rule="gone") from None

    async def receive(self, max_size=math.inf, timeout=120.0):
        with trio.move_on_after(math.inf if timeout is None else timeout):
            try:
                payload = await self._receives.receive()
            except (trio.EndOfChannel, trio.ClosedResourceError):
                raise NetworkFailure("the stream ended", rule="end") from None
            assert len(payload) <= max_size
            return payload
        raise NetworkFailure(f"the peer sent no whole message within {timeout} s", rule="timeout")

    def outlast(self, pause_s):
        pass

    async def finish(self):
        await self._sends.aclose()

    async def reset(self):
        self._sends.close()
        self._receives.close()


class MemoryHost:
    """What the daemon serves on, and what publishers dial."""

    peer_id = PEER_ID
    addresses = (ADDRESS,)

    def __init__(self, nursery):
        self._nursery = nursery
        self._handler = None

    def __getstate__(self):
        return {}  # it goes with the daemon

    def serve(self, _protocol_id, handler):
        self._handler = handler

    def reached_at(self, _announced):
        return list(self.addresses)

    @asynccontextmanager
    async def dialled(self, caller) -> AsyncIterator[MemoryStream]:
        """A conversation of *caller*, a name in place of an address."""
        there, ours = trio.open_memory_channel(64)
        here, theirs = trio.open_memory_channel(64)
        stream = MemoryStream(there, theirs, caller)
        self._nursery.start_soon(self._handler, MemoryStream(here, ours, caller))
        try:
            yield stream
        finally:
            await stream.reset()


@asynccontextmanager
async def memory_host():
    async with trio.open_nursery() as nursery:
        yield MemoryHost(nursery)
        nursery.cancel_scope.cancel()
