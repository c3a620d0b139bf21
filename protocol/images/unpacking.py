# SPDX-License-Identifier: Apache-2.0
"""The bytes of a packed layer, a bounded piece at a time: plain, gzip or zstd.

What a stream is, its first bytes say, as to the node; a layer whose type says otherwise is refused.
"""

import ctypes
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Protocol

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB

PIECE = 1 * MIB
"""The most that is unpacked at once, whatever the input claims."""

ZSTD_WINDOW_LOG = 27
"""Memory that a zstd stream may ask for: 128 MiB, what the `zstd` program takes without being told."""


class Unpacker(Protocol):
    """Takes packed bytes and gives plain ones."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Plain pieces of at most `PIECE` bytes; all of *data* is taken in when they end."""

    def finish(self) -> None:
        """BadInput unless the input ended where a stream ends."""


def unpacker(packing: str) -> Unpacker:
    """For "" (plain), "gzip" or "zstd"; BadInput while it is fed what is not packed so."""
    if packing == "gzip":
        return _Gzip()
    return _Zstd() if packing == "zstd" else _Plain()


def _damaged(packing: str) -> BadInput:
    return BadInput(f"damaged: a layer is not what its type says ({packing})")


class _Plain:
    """A tar archive cannot be mistaken for a packed one: its first bytes are a file's name."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

    def finish(self) -> None:
        """Any end is good."""


class _Gzip:
    """Members of RFC 1952, one behind the other."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._member.eof:
                self._member, self._begun = zlib.decompressobj(wbits=31), False
            try:
                piece = self._member.decompress(data, PIECE)
            except zlib.error:
                raise _damaged("gzip") from None
            self._begun = True
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                yield piece
        while not self._member.eof and (piece := self._rest()):
            yield piece

    def _rest(self) -> bytes:
        """What the member still holds of input that it has taken in."""
        try:
            return self._member.decompress(b"", PIECE)
        except zlib.error:
            raise _damaged("gzip") from None

    def finish(self) -> None:
        if not self._begun or not self._member.eof:
            raise _damaged("gzip")


class _Buffer(ctypes.Structure):
    """`ZSTD_inBuffer` and `ZSTD_outBuffer` of zstd.h, which are alike."""

    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]  # type: ignore[mutable-override]


@cache
def _library() -> ctypes.CDLL:
    """libzstd, which dpkg itself needs, so every Debian has it."""
    try:
        found = ctypes.CDLL("libzstd.so.1")
    except OSError:
        raise BadInput("libzstd is needed to read a zstd layer", hint="apt install libzstd1") from None
    found.ZSTD_createDCtx.restype = ctypes.c_void_p
    found.ZSTD_freeDCtx.argtypes = (ctypes.c_void_p,)
    found.ZSTD_DCtx_setParameter.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
    found.ZSTD_DCtx_setParameter.restype = ctypes.c_size_t
    found.ZSTD_decompressStream.argtypes = (
        ctypes.c_void_p,
        ctypes.POINTER(_Buffer),
        ctypes.POINTER(_Buffer),
    )
    found.ZSTD_decompressStream.restype = ctypes.c_size_t
    found.ZSTD_isError.argtypes = (ctypes.c_size_t,)
    return found


_WINDOW_LOG_MAX = 100
"""`ZSTD_d_windowLogMax` of zstd.h."""


class _Zstd:
    """Frames of RFC 8878, skippable ones too, by the system's libzstd."""

    def __init__(self) -> None:
        self._zstd = _library()
        self._context = self._zstd.ZSTD_createDCtx()
        self._zstd.ZSTD_DCtx_setParameter(self._context, _WINDOW_LOG_MAX, ZSTD_WINDOW_LOG)
        self._out = ctypes.create_string_buffer(PIECE)
        self._ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        held = ctypes.create_string_buffer(data, len(data))
        source = _Buffer(ctypes.addressof(held), len(data), 0)
        while True:
            target = _Buffer(ctypes.addressof(self._out), PIECE, 0)
            before = source.pos
            left = self._zstd.ZSTD_decompressStream(self._context, target, source)
            if self._zstd.ZSTD_isError(left):
                raise _damaged("zstd")
            if source.pos > before or target.pos:
                self._ended = left == 0
            if target.pos:
                yield self._out.raw[: target.pos]
            if source.pos == len(data) and target.pos < PIECE:
                return

    def finish(self) -> None:
        if not self._ended:
            raise _damaged("zstd")

    def __del__(self) -> None:
        if context := getattr(self, "_context", None):
            self._zstd.ZSTD_freeDCtx(context)
