# SPDX-License-Identifier: Apache-2.0
"""The page with the hashes of kernel, initrd and command line that qemu puts in place for the firmware.

The firmware refuses to start anything else; the page is measured, so these three are.
"""

import hashlib
import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from trustedpods.guest.firmware import PAGE

_TABLE: Final = UUID("9438d606-4f22-4cc9-b479-a793d411fd21")
_COMMAND_LINE: Final = UUID("97d02dd8-bd20-4c94-aa78-e7714d36ab2a")
_INITRD: Final = UUID("44baf731-3a2f-4bd7-9af1-41e29169781d")
_KERNEL: Final = UUID("4de79437-abd2-427f-b835-d5b172d2045b")
_ROW: Final = struct.Struct("<16sH32s")
_HEAD: Final = struct.Struct("<16sH")
TABLE_BYTES: Final = (_HEAD.size + 3 * _ROW.size + 15) // 16 * 16
"""Three rows, filled up to 16 bytes."""


@dataclass(frozen=True, slots=True)
class KernelHashes:
    """SHA-256 of each of the three; the command line's with the zero byte that ends it."""

    kernel: bytes
    initrd: bytes
    command_line: bytes

    @classmethod
    def of(cls, kernel: bytes, initrd: bytes, command_line: str) -> "KernelHashes":
        """The hashes of these files and this text, to the byte: a space at its end counts."""
        texts = kernel, initrd, command_line.encode() + b"\0"
        return cls(*(hashlib.sha256(text).digest() for text in texts))

    def page(self, address: int) -> bytes:
        """The page in which the table lies at *address*, else zeros."""
        rows = ((_COMMAND_LINE, self.command_line), (_INITRD, self.initrd), (_KERNEL, self.kernel))
        table = _HEAD.pack(_TABLE.bytes_le, _HEAD.size + 3 * _ROW.size)
        table += b"".join(_ROW.pack(guid.bytes_le, _ROW.size, digest) for guid, digest in rows)
        return (bytes(address % PAGE) + table).ljust(PAGE, b"\0")
