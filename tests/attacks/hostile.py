# SPDX-License-Identifier: Apache-2.0
"""Peers that do what ours would refuse to do."""

import struct
from contextlib import asynccontextmanager

import trio
from libp2p.exceptions import BaseLibp2pError

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.protocol.net.bounds import PIECE, Bounds
from trustedpods.protocol.net.streams import ByteStream, FrameStream
from trustedpods.protocol.net.transport import RawConnection
from trustedpods.protocol.net.upgrade import Identity, choose, upgrade_outbound
from trustedpods.protocol.protocol_ids import PROVIDER

REFUSED = (BaseLibp2pError, NetworkFailure, OSError, trio.BrokenResourceError, trio.ClosedResourceError)
"""What a peer sees that was reset or cut off."""

HEADER = "!BBHII"
DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


def header(kind, flags=0, stream=0, length=0):
    """Twelve bytes of yamux."""
    return struct.pack(HEADER, 0, kind, flags, stream, length)


@asynccontextmanager
async def crowd(address, count):
    """So many authenticated connections, each with a peer id of its own; some may have been cut off since."""
    target, made, limit = PeerAddress.parse(address), [], trio.CapacityLimiter(20)
    async with trio.open_nursery() as connections:

        async def join():
            async with limit:
                await enter()

        async def enter():
            raw = RawConnection(await trio.open_tcp_stream(target.host, target.port), initiator=True)
            muxer = await upgrade_outbound(
                raw, Identity.from_seed(None), target.peer_id, Bounds(), lambda _size: None
            )
            made.append(muxer)
            connections.start_soon(muxer.run)

        async with trio.open_nursery() as joining:
            for _ in range(count):
                joining.start_soon(join)
        try:
            yield made
        finally:
            for muxer in made:
                muxer.abort()
            connections.cancel_scope.cancel()


async def opened(muxer):
    """A stream with our protocol chosen."""
    stream = ByteStream(muxer, await muxer.open_stream())
    await choose(stream, PROVIDER)
    return stream


async def framed(muxer):
    """The same, for whole frames."""
    return FrameStream(await opened(muxer), b"")


async def pour(stream, total, *, ignore_window):
    """Send *total* bytes as long as the peer lets us; how many went out."""
    sent, piece = 0, bytes(PIECE)
    try:
        with trio.move_on_after(20):
            while sent < total:
                if ignore_window:
                    stream._stream.send_window = 1 << 40
                    stream._stream.closed = stream._stream.send_closed = False
                await stream.write(piece)
                sent += len(piece)
    except REFUSED:
        pass
    return sent


async def blast(muxer, frames, limit_s=120):
    """Write raw frames until they are all gone or the peer has cut us off; True when it has in time.

    Frames go out in whole Noise messages, several thousand in each.
    """
    batch = bytearray()
    try:
        with trio.fail_after(limit_s):
            for frame in frames:
                batch += frame
                if len(batch) >= 60_000:
                    await muxer.secured_conn.write(bytes(batch))
                    batch.clear()
            await muxer.secured_conn.write(bytes(batch))
            await muxer.event_shutting_down.wait()  # sockets hold some megabytes: all may be written before
    except REFUSED:
        return True
    except trio.TooSlowError:
        return False
    return True
