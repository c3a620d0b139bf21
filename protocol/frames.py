# SPDX-License-Identifier: Apache-2.0
"""Frames: where a message ends, and that it is whole. No I/O here.

The end of a multiplexed stream proves nothing (a killed peer, a closed connection and a reset
all look like a clean end), so each payload carries its length and its SHA-256:

    u32 big-endian length | SHA-256 of the payload (32 bytes) | payload

Frames are not secret and not signed: the channel encrypts, the payloads sign for themselves.
"""

import hashlib

from trustedpods.protocol.errors import LocalProtocolError, RemoteProtocolError
from trustedpods.protocol.limits import MAX_MESSAGE

LENGTH_BYTES = 4
DIGEST_BYTES = 32
HEADER_BYTES = LENGTH_BYTES + DIGEST_BYTES

MAX_PAYLOAD = MAX_MESSAGE
"""Bytes of one payload: what `limits.MAX_MESSAGE` allows, whether a message or a sealed chunk."""


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
    fed last; a frame over the size that the caller allows is refused at its header.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet taken as payloads; not zero at the end means a cut frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes as they came from the stream."""
        self._buffer += data

    def missing(self, max_size: int) -> int:
        """Bytes still needed before `take` gives a payload; 0 when it would now.

        Raises `RemoteProtocolError` for a payload over *max_size* bytes.
        """
        if len(self._buffer) < HEADER_BYTES:
            return HEADER_BYTES - len(self._buffer)
        length = int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
        if length > max_size:
            raise RemoteProtocolError(f"a frame of {length} bytes where at most {max_size} belong")
        return max(0, HEADER_BYTES + length - len(self._buffer))

    def take(self, max_size: int) -> bytes | None:
        """Next whole payload, or None when bytes are missing.

        Raises `RemoteProtocolError` for a payload over *max_size* bytes or one that is not what
        its digest says; the stream is of no more use then.
        """
        if self.missing(max_size):
            return None
        end = HEADER_BYTES + int.from_bytes(self._buffer[:LENGTH_BYTES], "big")
        digest = bytes(self._buffer[LENGTH_BYTES:HEADER_BYTES])
        with memoryview(self._buffer) as view:
            payload = bytes(view[HEADER_BYTES:end])
        del self._buffer[:end]
        if hashlib.sha256(payload).digest() != digest:
            raise RemoteProtocolError("a frame's content does not match its digest")
        return payload
