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
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import trio
from libp2p.abc import ISecureConn
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux import yamux
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream

from trustedpods.protocol.net.bounds import BATCH, FIRST_WINDOW, NOISE_PLAINTEXT, Bounds
from trustedpods.protocol.net.buffers import Buffers, StreamBuffer
from trustedpods.protocol.net.flood_guard import GuardedSession
from trustedpods.protocol.net.noise import NoiseSession
from trustedpods.protocol.net.transport import RawConnection

_log = logging.getLogger(__name__)

MAX_QUEUED_DATA = 2
"""Batches of data frames waiting for the socket, one of them being written; who wants to add more waits."""

MAX_QUEUED_CONTROL = 4096
"""Window updates, pings and ends waiting; a peer that lets so many pile up does not read."""

_BEATS = 4
"""Looks at a peer's silence in each `Bounds.heartbeat_s`."""


class _Queued(NamedTuple):
    """A frame to be written; the last of a batch of data makes room for another one."""

    frame: bytes
    ends_batch: bool = False


_PING = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_PING, yamux.FLAG_SYN, 0, 0)
_GO_AWAY = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_GO_AWAY, 0, 0, yamux.GO_AWAY_NORMAL)


class BoundedYamux(Yamux):
    """A multiplexed connection whose reader never blocks on writing, and whose writes have one task.

    `run` drives it until it ends. `on_received` is told of every piece of stream data that came.
    """

    def __init__(
        self,
        session: NoiseSession,
        peer_id: ID,
        raw: RawConnection,
        bounds: Bounds,
        on_received: Callable[[int], None],
    ) -> None:
        is_open = lambda stream_id: stream_id in self.streams  # noqa: E731 - the table is made below
        self.guard = GuardedSession(session, is_open, self._cut_off, self._ends)
        super().__init__(cast("ISecureConn", self.guard), peer_id, is_initiator=session.is_initiator)
        self.session = session
        self.raw = raw
        self.bounds = bounds
        self.on_received = on_received
        self.held = 0
        """Bytes that were read from streams and are part of frames still to be completed."""
        self.stream_buffers = Buffers(self._refuses)
        self._queue: deque[_Queued] = deque()
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
                self._put(_Queued(_GO_AWAY))
                self._closing = True
                await self._drained.wait()
        self.abort()

    def abort(self) -> None:
        """End the connection now. Readers and writers of its streams fail."""
        self.event_shutting_down.set()
        self._drained.set()
        self.raw.abort()

    @property
    def unread(self) -> int:
        """Bytes received on all streams and not yet handed on as whole frames."""
        return self.held + sum(len(buffer) for buffer in self.stream_buffers.values())

    def _cut_off(self, why: str) -> None:
        _log.info("a peer is cut off: %s", why)
        self.abort()

    # ---- writing -----------------------------------------------------------------------------

    async def send_data(self, stream: YamuxStream, payloads: Sequence[bytes | memoryview]) -> None:
        """Queue data frames of *stream*, at most `BATCH` and at most its window together.

        Cancelled while it waits, nothing of them is sent, and the connection lives on.
        """
        stream.send_window -= sum(len(payload) for payload in payloads)
        if not self.event_shutting_down.is_set():
            await self._room.acquire()
        if self.event_shutting_down.is_set():
            raise ConnectionClosedError("the connection is closed", transport="tcp")
        if stream.closed or stream.send_closed:
            self._room.release()
            raise MuxedStreamError("the stream is closed for sending")
        for left, payload in zip(reversed(range(len(payloads))), payloads, strict=True):
            head = struct.pack(
                yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_DATA, 0, stream.stream_id, len(payload)
            )
            self._put(_Queued(b"".join((head, payload)), ends_batch=not left))

    async def _write_frame(self, data: bytes) -> None:
        """Queue one frame without data; the only place through which libp2p's code writes."""
        if len(self._queue) > MAX_QUEUED_CONTROL:
            self.abort()
        if self.event_shutting_down.is_set():
            raise ConnectionClosedError("the connection is closed", transport="tcp")
        self._put(_Queued(data))

    def _put(self, frame: "_Queued") -> None:
        self._queue.append(frame)
        self._queued.set()

    async def _write_queue(self) -> None:
        """Write queued frames, many together, as long as some progress is made within the stall limit."""
        try:
            while True:
                while not self._queue:
                    if self._closing:
                        self._drained.set()
                    self._queued = trio.Event()
                    await self._queued.wait()
                messages, batches = self._next_messages()
                with trio.move_on_after(self.bounds.stall_s) as scope:
                    await self.session.write_messages(messages, lambda: self._progressed(scope))
                if scope.cancelled_caught:
                    _log.debug("a peer has not read for %s s", self.bounds.stall_s)
                    return
                for _ in range(batches):
                    self._room.release()
        except Exception as error:  # noqa: BLE001 - whatever the socket or the cipher says, it is over
            _log.debug("a connection broke while writing: %r", error)
        finally:
            self.abort()
            self._release_waiters()

    def _progressed(self, scope: trio.CancelScope) -> None:
        scope.deadline = trio.current_time() + self.bounds.stall_s

    def _next_messages(self) -> tuple[list[bytes], int]:
        """Plaintexts of at most `BATCH` Noise messages, and how many batches of data end in them."""
        messages: list[bytes] = []
        batches = 0
        while self._queue and len(messages) < BATCH:
            frames: list[bytes] = []
            size = 0
            while self._queue and (not frames or size + len(self._queue[0].frame) <= NOISE_PLAINTEXT):
                queued = self._queue.popleft()
                frames.append(queued.frame)
                size += len(queued.frame)
                batches += queued.ends_batch
            messages.append(frames[0] if len(frames) == 1 else b"".join(frames))
        return messages, batches

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

    def _ends(self, stream_id: int, behind: int) -> None:
        """libp2p gives a reader the same end for this, for a reset and for a connection that broke."""
        buffer = self.stream_buffers.get(stream_id)
        if isinstance(buffer, StreamBuffer):
            buffer.ends_behind(behind)

    async def _read_data_body(self, length: int) -> bytes:
        """Payload of one data frame, which libp2p reads whole before it looks at any window."""
        if length > FIRST_WINDOW:
            self.abort()
            raise ConnectionClosedError(f"a data frame of {length} bytes", transport="tcp")
        if (body := self.session.take(length)) is not None:  # the rule: header and payload in one message
            return cast("bytes", body)  # which libp2p measures and copies, no more
        self.guard.in_body = True
        try:
            return await super()._read_data_body(length)
        finally:
            self.guard.in_body = False

    # ---- heartbeat ---------------------------------------------------------------------------

    async def _measure_rtt_loop(self) -> None:
        """Ping a silent peer; a peer that stays silent is gone. Started by `Yamux.start`.

        Counts beats and not seconds: after a pause of this machine the peer gets its beats again.
        """
        heard, silent_beats = self.raw.last_heard, 0
        while not self.event_shutting_down.is_set():
            await trio.sleep(self.bounds.heartbeat_s / _BEATS)
            silent_beats = silent_beats + 1 if self.raw.last_heard == heard else 0
            heard = self.raw.last_heard
            if silent_beats >= self.bounds.heartbeats * _BEATS:
                _log.debug("a peer answers no ping")
                self.abort()
            elif silent_beats >= _BEATS:
                self._put(_Queued(_PING))
