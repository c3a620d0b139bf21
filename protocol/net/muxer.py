# SPDX-License-Identifier: Apache-2.0
"""yamux, held to its own rules: windows that count, writes that end, peers that answer.

py-libp2p's `Yamux` counts receive windows and does not enforce them, writes to the socket from
whichever task sends (a cancelled one leaves half a message and a dead connection), gives up a
stream whose reader pauses for five seconds, and never notices a peer that is gone. This subclass
replaces exactly those parts of version 0.8.1.
"""

import logging
import struct
from collections import deque
from collections.abc import Callable
from typing import cast

import trio
from libp2p.abc import ISecureConn
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream

from trustedpods.protocol.net.bounds import FIRST_WINDOW, NOISE_PLAINTEXT, YAMUX_HEADER, Bounds
from trustedpods.protocol.net.buffers import Buffers
from trustedpods.protocol.net.link import Link
from trustedpods.protocol.net.watch import WatchedSession

_log = logging.getLogger(__name__)

MAX_QUEUED_DATA = 4
"""Data frames waiting for the socket; the tasks that want to add more wait for room."""

MAX_QUEUED_CONTROL = 4096
"""Window updates, pings and ends waiting; a peer that lets so many pile up does not read."""

_BEATS = 4
"""Looks at a peer's silence in each `Bounds.heartbeat_s`."""

_PING = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_PING, yamux.FLAG_SYN, 0, 0)
_GO_AWAY = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_GO_AWAY, 0, 0, yamux.GO_AWAY_NORMAL)


class BoundedYamux(Yamux):
    """A multiplexed connection whose reader never blocks on writing, and whose writes have one task.

    `run` drives it until it ends. `on_received` is told of every piece of stream data that came.
    """

    def __init__(
        self,
        session: ISecureConn,
        peer_id: ID,
        link: Link,
        bounds: Bounds,
        on_received: Callable[[int], None],
    ) -> None:
        self.watch = WatchedSession(session, lambda stream_id: stream_id in self.streams, self._cut_off)
        super().__init__(cast("ISecureConn", self.watch), peer_id, is_initiator=session.is_initiator)
        self.link = link
        self.bounds = bounds
        self.on_received = on_received
        self.held = 0
        """Bytes that were read from streams and are part of frames still to be completed."""
        self.stream_buffers = Buffers(self._refuses)
        self._queue: deque[bytes] = deque()
        self._room = trio.Semaphore(MAX_QUEUED_DATA)
        self._queued = trio.Event()
        self._closing = False
        self._drained = trio.Event()

    # ---- life --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read, write and ping until the connection ends, whoever ends it."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_queue)
                await self.start()
                nursery.cancel_scope.cancel()
        finally:
            self.abort()
            with trio.CancelScope(shield=True):
                await self._cleanup_on_error()

    async def finish(self) -> None:
        """Write what is queued, say goodbye, close. Not longer than `Bounds.flush_s`."""
        with trio.CancelScope(shield=True), trio.move_on_after(self.bounds.flush_s):
            if not self.event_closed.is_set():
                self._put(_GO_AWAY)
                self._closing = True
                await self._drained.wait()
        self.abort()

    def abort(self) -> None:
        """End the connection now. Readers and writers of its streams fail."""
        self.event_shutting_down.set()
        self._drained.set()
        self.link.abort()

    @property
    def unread(self) -> int:
        """Bytes received on all streams and not yet handed on as whole frames."""
        return self.held + sum(len(buffer) for buffer in self.stream_buffers.values())

    def _cut_off(self, why: str) -> None:
        _log.info("a peer is cut off: %s", why)
        self.abort()

    # ---- writing -----------------------------------------------------------------------------

    async def _write_frame(self, data: bytes) -> None:
        """Queue one frame; the only place through which libp2p's code writes.

        Cancelled while it waits, nothing of the frame is sent, and the connection lives on.
        """
        if len(self._queue) > MAX_QUEUED_CONTROL:
            self.abort()
        if len(data) > YAMUX_HEADER and not self.event_shutting_down.is_set():
            await self._room.acquire()
        if self.event_shutting_down.is_set():
            raise ConnectionClosedError("the connection is closed", transport="tcp")
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._queue.append(data)
        self._queued.set()

    async def _write_queue(self) -> None:
        """Write queued frames, small ones together, each within the stall limit."""
        try:
            while True:
                while not self._queue:
                    if self._closing:
                        self._drained.set()
                    self._queued = trio.Event()
                    await self._queued.wait()
                message, data_frames = self._next_message()
                with trio.move_on_after(self.bounds.stall_s) as scope:
                    await self.secured_conn.write(message)
                if scope.cancelled_caught:
                    _log.debug("a peer has not read for %s s", self.bounds.stall_s)
                    return
                for _ in range(data_frames):
                    self._room.release()
        except Exception as error:  # noqa: BLE001 - whatever the socket or the cipher says, it is over
            _log.debug("a connection broke while writing: %r", error)
        finally:
            self.abort()
            self._release_waiters()

    def _next_message(self) -> tuple[bytes, int]:
        """As many frames as fit one Noise message, and how many of them carry data."""
        frames: list[bytes] = []
        size = data_frames = 0
        while self._queue and (not frames or size + len(self._queue[0]) <= NOISE_PLAINTEXT):
            frame = self._queue.popleft()
            frames.append(frame)
            size += len(frame)
            data_frames += len(frame) > YAMUX_HEADER
        return frames[0] if len(frames) == 1 else b"".join(frames), data_frames

    def _release_waiters(self) -> None:
        while self._room.statistics().tasks_waiting:
            self._room.release()

    # ---- reading -----------------------------------------------------------------------------

    async def take(self, stream: YamuxStream, size: int) -> bytes:
        """Up to *size* received bytes of *stream*, at least one; a cancelled call loses none."""
        data = await self.read_stream(stream.stream_id, size)
        await self._release_window(stream, len(data))
        return data

    async def _release_window(self, stream: YamuxStream, size: int) -> None:
        """Return credit to the peer once a quarter of the window was read, and double the window."""
        stream._pending_recv_release += size  # noqa: SLF001 - the subclass owns this counter now
        if stream._pending_recv_release * 4 < stream.target_recv_window or stream.recv_closed:  # noqa: SLF001
            return
        growth = min(stream.target_recv_window, self.bounds.max_window - stream.target_recv_window)
        credit = stream._pending_recv_release + max(0, growth)  # noqa: SLF001
        stream.target_recv_window += max(0, growth)
        stream._pending_recv_release = 0  # noqa: SLF001
        stream.recv_window += credit
        with trio.CancelScope(shield=True):
            await stream.send_window_update(credit)

    def _refuses(self, stream_id: int, size: int) -> bool:
        """True, and the connection is gone, when *size* more bytes break the stream's window."""
        stream = self.streams.get(stream_id)
        if stream is None or size <= stream.recv_window:
            self.on_received(size)
            return False
        self._cut_off(f"{size} bytes into a window of {stream.recv_window}")
        return True

    async def _read_data_body(self, length: int) -> bytes:
        """Payload of one data frame, which libp2p reads whole before it looks at any window."""
        if length > FIRST_WINDOW:
            self.abort()
            raise ConnectionClosedError(f"a data frame of {length} bytes", transport="tcp")
        self.watch.in_body = True
        try:
            return await super()._read_data_body(length)
        finally:
            self.watch.in_body = False

    # ---- heartbeat ---------------------------------------------------------------------------

    async def _measure_rtt_loop(self) -> None:
        """Ping a silent peer; a peer that stays silent is gone. Started by `Yamux.start`.

        Counts beats and not seconds: after a pause of this machine the peer gets its beats again.
        """
        heard, silent_beats = self.link.last_heard, 0
        while not self.event_shutting_down.is_set():
            await trio.sleep(self.bounds.heartbeat_s / _BEATS)
            silent_beats = silent_beats + 1 if self.link.last_heard == heard else 0
            heard = self.link.last_heard
            if silent_beats >= 2 * _BEATS:
                _log.debug("a peer answers no ping")
                self.abort()
            elif silent_beats >= _BEATS:
                self._put(_PING)
