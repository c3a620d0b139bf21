# SPDX-License-Identifier: Apache-2.0
"""What firmware measures of an EFI program before it starts it: the Authenticode hash of its file.

As Microsoft's specification of it says: all bytes but the checksum, the directory entry of certificates,
and these.
"""

import hashlib
import struct
from typing import Final

from trustedpods.protocol.errors import BadInput

MAX_SECTIONS: Final = 96
"""What Windows' loader takes; kernels have four."""

_PLUS: Final = 0x20B
"""Of 64 bits: the only ones that are started here."""


def authenticode(data: bytes, where: str) -> bytes:
    """SHA-384 of a program in the portable executable format; BadInput (at *where*) for what is none."""
    try:
        return _authenticode(data)
    except (struct.error, ValueError) as error:
        raise BadInput(f"not an EFI program: {error}", where=where) from None


def _authenticode(data: bytes) -> bytes:
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[:2] != b"MZ" or data[header : header + 4] != b"PE\0\0":
        raise ValueError("it has no header of one")
    count, optional_bytes = struct.unpack_from("<H12xH", data, header + 6)
    optional = header + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    if magic != _PLUS or count > MAX_SECTIONS:
        raise ValueError("it is not of 64 bits, or has too many sections")
    checksum, certificates = optional + 64, optional + 112 + 4 * 8
    (headers,) = struct.unpack_from("<I", data, optional + 60)
    _, certified = struct.unpack_from("<II", data, certificates)
    if not certificates + 8 <= headers <= len(data) or certified:
        raise ValueError("its headers are damaged, or it is signed")
    total = hashlib.sha384(data[:checksum])
    total.update(data[checksum + 4 : certificates])
    total.update(data[certificates + 8 : headers])
    table = optional + optional_bytes
    rows = [struct.unpack_from("<II", data, table + 40 * row + 16) for row in range(count)]
    done = headers
    for size, offset in sorted((row for row in rows if row[0]), key=lambda row: row[1]):
        if offset < done or offset + size > len(data):
            raise ValueError("its sections overlap, or lie outside of it")
        total.update(data[offset : offset + size])
        done += size
    total.update(data[done:])
    total.update(bytes(-len(data) % 8))
    return total.digest()
