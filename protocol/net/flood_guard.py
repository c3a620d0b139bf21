# SPDX-License-Identifier: Apache-2.0
"""What a peer makes us do without sending us anything that we want: frames without data, data for nobody.

yamux frames of twelve bytes (pings, window updates, unknown types) cost us as much as a frame of data, and
py-libp2p reads and drops data for streams that are gone, for ever. Whoever overdoes either is cut off. The
loop that reads them also lets other tasks run: thousands of such frames fit into one read of the socket.
"""

import struct
from collections.abc import Callable
from typing import Any

import trio
from libp2p.io.abc import ReadWriteCloser
from libp2p.stream_muxer.yamux import yamux

from trustedpods.protocol.net.bounds import FIRST_WINDOW, YAMUX_HEADER

CONTROL_BURST = 4096
"""Frames without data that a peer may send at once: enough for six hundred short conversations."""

CONTROL_PER_S = 1000
"""And in each second after that. A fast honest peer needs some 300: an update for each MiB, openings."""

OPENING = 4
"""What the opening of a stream counts for: it makes a task."""

TURN = 64
"""Headers handled before other tasks get their turn: about a millisecond."""


class GuardedSession:
    """A session as the muxer reads it; *on_abuse* is called, with the reason, when the peer overdoes it.

    *is_open* says whether a stream of this id exists. *on_end* is told of each stream whose peer says that it
    sends no more, and how many bytes still follow. Everything but reading is the inner session's.
    """

    def __init__(
        self,
        session: ReadWriteCloser,
        is_open: Callable[[int], bool],
        on_abuse: Callable[[str], None],
        on_end: Callable[[int, int], None],
    ) -> None:
        self._on_end = on_end
        self._session = session
        self._is_open = is_open
        self._on_abuse = on_abuse
        self._header = b""
        self._headers = 0
        self._control = float(CONTROL_BURST)
        self._counted_at = trio.current_time()
        self._strays = FIRST_WINDOW
        self.in_body = False
        """Set while the payload of a data frame is read, which is not looked at."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the inner session has
        """Everything else is the inner session's."""
        return getattr(self._session, name)

    async def read(self, n: int | None = None) -> bytes:
        """As the inner `read`."""
        data = await self._session.read(n)
        if not self.in_body:
            self._header += data
            if len(self._header) >= YAMUX_HEADER:
                header, self._header = self._header, b""
                await self._judge(header)
        return data

    def expect_strays(self, size: int) -> None:
        """A stream of ours was reset: so much may be on its way to it already."""
        self._strays += size

    async def _judge(self, header: bytes) -> None:
        _, kind, flags, stream_id, length = struct.unpack(yamux.YAMUX_HEADER_FORMAT, header)
        opens = bool(flags & yamux.FLAG_SYN) and kind in (yamux.TYPE_DATA, yamux.TYPE_WINDOW_UPDATE)
        if opens:
            self._count_control(OPENING)
        elif kind != yamux.TYPE_DATA or length == 0:
            self._count_control(1)
        if kind == yamux.TYPE_DATA and self._is_open(stream_id) == opens:
            self._count_stray(length)
        if flags & yamux.FLAG_FIN and kind in (yamux.TYPE_DATA, yamux.TYPE_WINDOW_UPDATE):
            self._on_end(stream_id, length if kind == yamux.TYPE_DATA else 0)
        self._headers += 1
        if self._headers % TURN == 0:
            await trio.lowlevel.checkpoint()

    def _count_stray(self, size: int) -> None:
        self._strays -= size
        if self._strays < 0:
            self._on_abuse("data for streams that are gone")

    def _count_control(self, cost: int) -> None:
        now = trio.current_time()
        self._control += (now - self._counted_at) * CONTROL_PER_S
        self._control = min(self._control, CONTROL_BURST) - cost
        self._counted_at = now
        if self._control < 0:
            self._on_abuse("too many frames without data")
