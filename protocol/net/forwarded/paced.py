# SPDX-License-Identifier: Apache-2.0
"""One connection at one end: what came for it, what it has to say, and how much of it waits. No I/O."""

from dataclasses import dataclass

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.messages.forward import MAX_PIECE, WINDOW

TAKEN_EVERY = WINDOW // 4
"""Bytes after which the other end is told that they were handed on; and whenever none is left."""

MAX_WHY = 500
"""Characters of why a connection failed."""

BROKEN_OFF = "the connection was broken off"
"""Why it failed where the local end is gone without a word."""


@dataclass(frozen=True, slots=True)
class ConnectionPiece:
    """What one message says of a connection: see `messages/forward.py`."""

    data: bytes
    end: bool
    taken: int
    closed: str | None


class PacedConnection:
    """Two directions, each held back by whoever takes too little. One that *announces* itself speaks at once.

    `carried_in` bytes were handed on to the local end so far, `carried_out` came from it and were said.
    """

    def __init__(self, *, announces: bool = False) -> None:
        self._unsaid = announces
        self.carried_in = self.carried_out = 0
        self._waiting = bytearray()
        self._came = self._told = 0
        self._all_came = self._end_handed = self._discards = False
        self._pending = bytearray()
        self._taken = 0
        self._ended = self._end_said = False
        self._failed: str | None = None
        self._closed = False

    # ---- from the other end to the local one ------------------------------------------------------

    def note(self, data: bytes, *, end: bool, taken: int) -> None:
        """What the other end said. RemoteProtocolError for what it may not say."""
        if not self._taken <= taken <= self.carried_out:
            raise RemoteProtocolError(f"took {taken} of {self.carried_out} bytes", rule="exec-window")
        self._taken = taken
        if (data or end) and self._all_came:
            raise RemoteProtocolError("a connection goes on behind its end", rule="exec-input")
        self._came += len(data)
        if self._came - self.carried_in > WINDOW:
            raise RemoteProtocolError(f"more than {WINDOW} bytes under way", rule="exec-window")
        self._all_came = self._all_came or end
        if self._discards:
            self.carried_in += len(data)
        else:
            self._waiting += data

    @property
    def has_input(self) -> bool:
        """Whether there is something to hand on: bytes, or the end."""
        return bool(self._waiting) or (self._all_came and not self._end_handed)

    def input(self) -> bytes:
        """What is to be handed on next; nothing stands for the end."""
        return bytes(self._waiting[:MAX_PIECE])

    def handed_on(self, size: int) -> None:
        """So much of it was; 0 of the end."""
        del self._waiting[:size]
        self.carried_in += size
        self._end_handed = self._end_handed or not size

    def discard(self) -> None:
        """The local end takes nothing any more: what came and what comes for it is thrown away."""
        self._discards = self._end_handed = True
        self.carried_in += len(self._waiting)
        self._waiting.clear()

    # ---- from the local end to the other one ------------------------------------------------------

    @property
    def room(self) -> int:
        """Bytes that may be read from the local end now."""
        return max(0, MAX_PIECE - len(self._pending))

    @property
    def ended(self) -> bool:
        """The local end has no more to say."""
        return self._ended

    @property
    def failed(self) -> bool:
        """The local end is broken, or was never reached."""
        return self._failed is not None

    def keep(self, data: bytes) -> None:
        """What was read from the local end; nothing is its end.

        One that takes nothing either, while more is to come for it, is gone: else the other end would wait
        for ever to have it taken.
        """
        if not data and self._discards and not self._all_came:
            self.fail(BROKEN_OFF)
            return
        self._pending += data
        self._ended = self._ended or not data

    def fail(self, why: str) -> None:
        """The local end is broken, or was never reached: that is said behind what came from it before."""
        self._failed = why[:MAX_WHY]

    def next_piece(self) -> ConnectionPiece | None:
        """What is to be said next; it counts as said from now on. None where there is nothing."""
        if self._closed:
            return None
        if self._failed is not None and not self._pending:
            self._closed = True
            return ConnectionPiece(b"", end=False, taken=self.carried_in, closed=self._failed)
        data = bytes(self._pending[: min(MAX_PIECE, WINDOW - (self.carried_out - self._taken))])
        end = self._ended and len(data) == len(self._pending) and not self._end_said
        untold = self.carried_in - self._told
        if not (data or end or self._unsaid or untold >= TAKEN_EVERY or (untold and not self._waiting)):
            return None
        self._unsaid = False
        del self._pending[: len(data)]
        self.carried_out += len(data)
        self._end_said = self._end_said or end
        self._told = self.carried_in
        return ConnectionPiece(data, end=end, taken=self._told, closed=None)

    @property
    def over(self) -> bool:
        """Nothing is left to be said or handed on in either direction."""
        return self._closed or (self._end_said and self._end_handed)
