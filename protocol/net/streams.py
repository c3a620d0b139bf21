# SPDX-License-Identifier: Apache-2.0
"""A stream between two peers: first as bytes, then as frames."""

from collections.abc import Iterator
from contextlib import contextmanager

import trio
from libp2p.exceptions import BaseLibp2pError
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IOException
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux.yamux import YamuxStream

from trustedpods.protocol.errors import NetworkFailure, RemoteProtocolError
from trustedpods.protocol.frames import FrameReader, header
from trustedpods.protocol.limits import KIB, MAX_MESSAGE
from trustedpods.protocol.net.bounds import BATCH, PIECE
from trustedpods.protocol.net.buffers import StreamBuffer
from trustedpods.protocol.net.yamux import BoundedYamux

DEFAULT_TIMEOUT_S = 60.0
"""How long `receive` waits for a whole frame unless told otherwise."""

END, RESET, GONE = "end", "reset", "gone"
"""Rules of errors: the peer was done; it threw the stream away; the connection broke, whoever broke it."""

_TOLD = {
    END: "the peer ended the stream",
    RESET: "the peer threw the stream away",
    GONE: "the connection to the peer is gone",
}

_LEAST_READ = 64 * KIB
_FIRST_POLL_S, _LONGEST_POLL_S = 0.001, 0.05


class ByteStream(ReadWriteCloser):
    """A yamux stream whose reads and writes may be cancelled without loss or damage to others.

    Its write waits for the peer's window itself, as long as `Bounds.stall_s`: libp2p's own would
    break off after five seconds.
    """

    def __init__(self, muxer: BoundedYamux, stream: YamuxStream) -> None:
        self._muxer = muxer
        self._stream = stream
        self._held = 0
        self._buffer = muxer.stream_buffers.get(stream.stream_id)  # gone already where it came with a reset

    @property
    def no_more(self) -> str:
        """Why nothing more comes, as the rule of an error: `end`, `reset`, or `gone` with the connection."""
        stream, lost = self._stream, self._muxer.event_shutting_down.is_set()
        if isinstance(self._buffer, StreamBuffer) and self._buffer.ended:
            return END
        if stream.recv_closed and not stream.reset_received and not lost:
            return END
        return GONE if lost else RESET

    def hold(self, size: int) -> None:
        """So many bytes that were read wait for the rest of their frame; they count as unread."""
        self._muxer.held += size - self._held
        self._held = size

    def outlast(self, pause_s: float) -> None:
        """The connection below it survives a network that pauses so long, from now to its end."""
        self._muxer.bounds = self._muxer.bounds.outlasting(pause_s)

    async def read(self, n: int | None = None) -> bytes:
        """1 to *n* bytes. Raises libp2p's errors at the end and after a reset."""
        return await self._muxer.take(self._stream, n or _LEAST_READ)

    async def write(self, data: bytes | memoryview, before: bytes = b"") -> None:
        """Write *before* and all of *data*.

        Raises `NetworkFailure` on a stall, libp2p's errors otherwise.
        """
        rest = memoryview(data)
        while before or rest:
            room = min(BATCH * PIECE, await self._window())
            payloads: list[bytes | memoryview] = []
            while room and (before or rest):
                size = min(PIECE, room)
                lead, before = before[:size], before[size:]
                body, rest = rest[: size - len(lead)], rest[size - len(lead) :]
                payloads.append(b"".join((lead, body)) if lead else body)
                room -= len(payloads[-1])
            await self._muxer.send_data(self._stream, payloads)

    async def _window(self) -> int:
        """Bytes that the peer takes now, at least one."""
        pause, deadline = _FIRST_POLL_S, trio.current_time() + self._muxer.bounds.stall_s
        while self._stream.send_window <= 0 and not self.is_over:
            if trio.current_time() > deadline:
                raise NetworkFailure(
                    f"the peer took nothing for {self._muxer.bounds.stall_s:.0f} s", rule="stall"
                )
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_S)
        return max(1, self._stream.send_window)  # of an ended stream: its write says so

    @property
    def is_over(self) -> bool:
        """True when nothing can be sent any more."""
        return self._stream.closed or self._stream.send_closed or self._muxer.event_shutting_down.is_set()

    @property
    def peer_has_ended(self) -> bool:
        """True when the peer sent its end, or the stream or connection is gone."""
        return self._stream.recv_closed or self._stream.closed or self._muxer.event_shutting_down.is_set()

    async def close(self) -> None:
        """Send our end; the peer may go on sending."""
        with trio.CancelScope(shield=True):
            await self._stream.close()

    async def reset(self) -> None:
        """Drop the stream and what is unread of it. Never fails and never waits for the peer."""
        self.hold(0)
        buffer = self._muxer.stream_buffers.get(self._stream.stream_id)
        if buffer is not None:
            buffer.clear()
        if self._muxer.streams.get(self._stream.stream_id) is self._stream and not self.peer_has_ended:
            self._muxer.guard.expect_strays(self._stream.recv_window)
        if not self._muxer.event_shutting_down.is_set():
            with trio.CancelScope(shield=True), _ignored():
                await self._stream.reset()

    async def linger(self) -> None:
        """After our end: drop what still comes until the peer's end; then reset.

        Not longer than `Bounds.linger_s`, and not more than was under way at our end at the most.
        """
        left = self._muxer.bounds.max_window
        with trio.move_on_after(self._muxer.bounds.linger_s), _ignored():
            while not self.peer_has_ended and left > 0:
                left -= len(await self.read())
        await self.reset()

    def get_remote_address(self) -> tuple[str, int] | None:
        """None."""
        return None


class FrameStream:
    """A stream of frames to an authenticated peer.

    One task may send while another receives; several senders (or receivers) take turns frame by
    frame. A receiver that pauses holds its sender back through the stream's window, with nothing
    lost, until `Bounds.stall_s`. An end is told from a reset and from a lost connection by what the peer
    sent; still a conversation's last frame says itself that it is the last.
    """

    def __init__(self, stream: ByteStream, remote_peer_id: bytes, remote_host: str = "") -> None:
        self.remote_peer_id = remote_peer_id
        """Proven by the Noise handshake."""
        self.remote_host = remote_host
        """The peer's IP address."""
        self._stream = stream
        self._reader = FrameReader()
        self._sending = trio.Lock()
        self._receiving = trio.Lock()

    async def send(self, payload: bytes) -> None:
        """Send one frame. Raises `NetworkFailure` when the peer is gone or takes nothing.

        A call that fails or is cancelled resets the stream: part of the frame may be on its way.
        """
        head = header(payload)
        async with self._sending:
            try:
                with translated():
                    await self._stream.write(payload, head)
            except BaseException:
                await self._stream.reset()
                raise

    async def receive(self, max_size: int = MAX_MESSAGE, timeout: float | None = DEFAULT_TIMEOUT_S) -> bytes:
        """The next frame's payload, of at most *max_size* bytes.

        *timeout* counts for the whole frame; None waits as long as the peer lives. Raises
        `RemoteProtocolError` for a frame that is too large or damaged, `NetworkFailure` after the
        timeout (rule `timeout`; a later call may go on), at the end of the stream (rule `end`), when the
        peer threw it away (`reset`), and when the connection is lost (`gone`).
        """
        async with self._receiving:
            with trio.move_on_after(float("inf") if timeout is None else timeout), translated():
                return await self._receive(max_size)
        raise NetworkFailure(f"the peer sent no whole message within {timeout} s", rule="timeout")

    async def _receive(self, max_size: int) -> bytes:
        while (payload := self._reader.take(max_size)) is None:
            wanted = max(_LEAST_READ, self._reader.missing(max_size))
            try:
                self._reader.feed(await self._stream.read(wanted))
                self._stream.hold(self._reader.buffered)
            except MuxedStreamError as error:
                rule = self._stream.no_more
                if rule is END and self._reader.buffered:
                    raise RemoteProtocolError("the stream ended within a frame", rule="cut") from error
                raise NetworkFailure(_TOLD[rule], rule=rule) from error
        self._stream.hold(self._reader.buffered)
        return payload

    def outlast(self, pause_s: float) -> None:
        """The connection below it survives a network that pauses so long, from now to its end."""
        self._stream.outlast(pause_s)

    async def finish(self) -> None:
        """Say that nothing more will be sent. Receiving goes on."""
        with translated():
            await self._stream.close()

    async def reset(self) -> None:
        """Drop the stream in both directions; the other side's next call fails."""
        await self._stream.reset()


@contextmanager
def translated() -> Iterator[None]:
    """The one place where errors of streams become ours."""
    try:
        yield
    except (BaseLibp2pError, IOException, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        raise NetworkFailure("the stream to the peer broke") from error


@contextmanager
def _ignored() -> Iterator[None]:
    try:
        yield
    except (BaseLibp2pError, IOException, NetworkFailure, trio.BrokenResourceError, trio.ClosedResourceError):
        return
