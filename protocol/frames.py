# SPDX-License-Identifier: Apache-2.0
"""Frames: where a message ends, and that it is whole. No I/O here.

The end of a multiplexed stream proves nothing (a killed peer, a closed connection and a reset
all look like a clean end), so each payload carries its length and its SHA-256:

    u32 big-endian length | SHA-256 of the payload (32 bytes) | payload

Frames are not secret and not signed: the channel encrypts, the payloads sign for themselves.
"""

import hashlib
from collections import deque

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import KIB, MAX_MESSAGE

LENGTH_BYTES = 4
DIGEST_BYTES = 32
HEADER_BYTES = LENGTH_BYTES + DIGEST_BYTES

MAX_PAYLOAD = MAX_MESSAGE
"""Bytes of one payload: what `limits.MAX_MESSAGE` allows, whether a message or a sealed chunk."""

SMALL_PIECE = 4 * KIB
"""Pieces from here on are kept as they came; smaller ones together, as each costs some 100 bytes more."""

MERGED_PIECES = 64 * KIB
"""So many bytes of small pieces are kept together: the copy that a growing array makes stays small."""


def header(payload: bytes) -> bytes:
    """What goes before *payload*. Raises `LocalProtocolError` over `MAX_PAYLOAD` bytes."""
    if len(payload) > MAX_PAYLOAD:
        raise LocalProtocolError(f"a frame of {len(payload)} bytes is over the limit of {MAX_PAYLOAD}")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + hashlib.sha256(payload).digest()


def frame(payload: bytes) -> bytes:
    """*payload* as one frame. Raises `LocalProtocolError` over `MAX_PAYLOAD` bytes."""
    return header(payload) + payload


class FrameReader:
    """Cuts a stream of bytes into payloads.

    Feed it only what `missing` asks for, and it never holds more than one frame and the piece
    fed last; a frame over the size that the caller allows is refused at its header. It keeps pieces as
    they came and joins them once: a MiB is copied once, whatever it arrives in.
    """

    def __init__(self) -> None:
        self._head = b""
        self._pieces: deque[_Piece] = deque()
        self._size = 0

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet taken as payloads; not zero at the end means a cut frame."""
        return len(self._head) + self._size

    def feed(self, data: bytes) -> None:
        """Add bytes as they came from the stream."""
        self._size += len(data)
        last = self._pieces[-1] if self._pieces else None
        if len(data) >= SMALL_PIECE:
            self._pieces.append(data)
        elif isinstance(last, bytearray) and len(last) < MERGED_PIECES:
            last += data
        elif data:
            self._pieces.append(bytearray(data))

    def missing(self, max_size: int) -> int:
        """Bytes still needed before `take` gives a payload; 0 when it would now.

        Raises `RemoteProtocolError` for a payload over *max_size* bytes.
        """
        if not self._head:
            if self._size < HEADER_BYTES:
                return HEADER_BYTES - self._size
            self._head = self._cut(HEADER_BYTES)
        length = self._length()
        if length > max_size:
            raise RemoteProtocolError(f"a frame of {length} bytes where at most {max_size} belong")
        return max(0, length - self._size)

    def take(self, max_size: int) -> bytes | None:
        """Next whole payload, or None when bytes are missing.

        Raises `RemoteProtocolError` for a payload over *max_size* bytes or one that is not what
        its digest says; the stream is of no more use then.
        """
        if self.missing(max_size):
            return None
        payload, digest = self._cut(self._length()), self._head[LENGTH_BYTES:]
        self._head = b""
        if hashlib.sha256(payload).digest() != digest:
            raise RemoteProtocolError("a frame's content does not match its digest")
        return payload

    def _length(self) -> int:
        return int.from_bytes(self._head[:LENGTH_BYTES], "big")

    def _cut(self, size: int) -> bytes:
        """The first *size* bytes, which are there."""
        self._size -= size
        parts: list[_Piece] = []
        while size:
            piece = self._pieces.popleft()
            if len(piece) > size:
                piece, rest = _split(piece, size)
                self._pieces.appendleft(rest)
            parts.append(piece)
            size -= len(piece)
        return b"".join(parts)


_Piece = bytes | bytearray | memoryview


def _split(piece: _Piece, size: int) -> tuple[_Piece, _Piece]:
    """*piece* in two, in time that does not grow with the rest, nor holding more than twice the rest."""
    if isinstance(piece, bytearray):
        first = piece[:size]
        del piece[:size]  # moves nothing: the array remembers where it starts
        return first, piece
    whole = piece if isinstance(piece, bytes) else piece.obj
    assert isinstance(whole, bytes)  # a view is one of a piece as it was fed
    rest = memoryview(piece)[size:]
    return memoryview(piece)[:size], bytes(rest) if 2 * len(rest) < len(whole) else rest
