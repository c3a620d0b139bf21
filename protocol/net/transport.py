# SPDX-License-Identifier: Apache-2.0
"""One TCP connection as libp2p's Noise code wants it: buffered reads, and an end that is sure."""

from collections.abc import Callable

import trio
from libp2p.abc import IRawConnection
from libp2p.connection_types import ConnectionType
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError, IOException
from multiaddr import Multiaddr

from trustedpods.protocol.net.bounds import NEGOTIATION_BYTES, NOISE_LENGTH, READ_SIZE

_TURN = 64
"""Reads from the buffer before other tasks get their turn."""


class RawConnection(IRawConnection):
    """A TCP connection that knows when it last heard of its peer.

    `read` gives exactly what is asked for, less only at the end: libp2p gives up a message that
    arrives in more than a hundred pieces. `abort` ends everything at once, from any task.
    """

    def __init__(self, stream: trio.SocketStream, *, initiator: bool) -> None:
        self.is_initiator = initiator
        self.last_heard = trio.current_time()
        self.ended = False
        """True when the peer has closed or broken the connection."""
        self.remote_host = _host_of(stream)
        self._stream = stream
        self._buffer = bytearray()
        self._buffered_reads = 0

    async def read(self, n: int | None = None) -> bytes:
        """The next *n* bytes, or what is left before the end; None asks for what is there."""
        wanted = 1 if n is None else n
        while len(self._buffer) < wanted:
            data = await self._receive()
            if not data:
                break
            self._buffer += data
        await self._take_turns()
        size = len(self._buffer) if n is None else min(n, len(self._buffer))
        with memoryview(self._buffer) as view:
            taken = bytes(view[:size])
        del self._buffer[:size]
        return taken

    async def read_message(self) -> bytes | None:
        """The next Noise message without its length; None when not all of it has come."""
        size = int.from_bytes(self._buffer[:NOISE_LENGTH], "big")
        if len(self._buffer) < NOISE_LENGTH + size:
            return None
        await self._take_turns()
        with memoryview(self._buffer) as view:
            taken = bytes(view[NOISE_LENGTH : NOISE_LENGTH + size])
        del self._buffer[: NOISE_LENGTH + size]
        return taken

    async def _take_turns(self) -> None:
        """A socket's read may hold thousands of tiny Noise messages: let others run in between."""
        self._buffered_reads += 1
        if self._buffered_reads % _TURN == 0:
            await trio.lowlevel.checkpoint()

    async def _receive(self) -> bytes:
        try:
            data = await self._stream.receive_some(READ_SIZE)
        except trio.BrokenResourceError as error:
            self.ended = True
            raise ConnectionClosedError("the peer broke the connection", transport="tcp") from error
        except trio.ClosedResourceError:
            return b""
        self.last_heard = trio.current_time()
        self.ended = not data
        return data

    async def write(self, data: bytes, progress: Callable[[], None] = lambda: None) -> None:
        """Write all of *data*, telling *progress* whenever the peer has made room for more of it.

        Cancelled in between, the connection is of no more use.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[await self._stream.socket.send(rest) :]
                progress()
        except (OSError, trio.ClosedResourceError) as error:
            raise ConnectionClosedError("the connection is closed", transport="tcp") from error

    def abort(self) -> None:
        """Close the socket now; every task that waits on it wakes up."""
        self._stream.socket.close()

    async def close(self) -> None:
        """Same as `abort`, for libp2p."""
        self.abort()
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> tuple[str, int] | None:
        """None: nobody in libp2p needs it, and addresses are not for its logs."""
        return None

    def get_transport_addresses(self) -> list[Multiaddr]:
        """Empty, for the same reason."""
        return []

    def get_connection_type(self) -> ConnectionType:
        """Always direct."""
        return ConnectionType.DIRECT


class LimitedStream(ReadWriteCloser):
    """A connection or stream during negotiation: a few kilobytes may be read, no more.

    libp2p's multistream code believes any announced length.
    """

    def __init__(self, inner: ReadWriteCloser) -> None:
        self._inner = inner
        self._left = NEGOTIATION_BYTES

    async def read(self, n: int | None = None) -> bytes:
        """As the inner `read`, until the allowance is used up."""
        if n is None or n > self._left:
            raise IOException("too many bytes before a protocol is chosen")
        self._left -= n
        return await self._inner.read(n)

    async def write(self, data: bytes) -> None:
        """As the inner `write`."""
        await self._inner.write(data)

    async def close(self) -> None:
        """As the inner `close`."""
        await self._inner.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """As of the inner."""
        return self._inner.get_remote_address()


def _host_of(stream: trio.SocketStream) -> str:
    try:
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""
