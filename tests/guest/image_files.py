# SPDX-License-Identifier: Apache-2.0
"""Files of a machine image, made for tests: a firmware with every table that is read, a kernel, the rest."""

import struct
from pathlib import Path
from uuid import UUID

from trustedpods.guest.firmware import PAGE
from trustedpods.guest.measure import ImageFiles

RESET_ADDRESS = 0x80B004
HASHES_ADDRESS = 0x810C00
SEV = [
    (0x800000, 0x9000, 1),
    (0x80A000, 0x3000, 1),
    (0x80D000, PAGE, 2),
    (0x80E000, PAGE, 3),
    (0x810000, PAGE, 0x10),
]
"""(address, size, kind)"""

COMMAND_LINE = "tp.root=aa:bb:1 quiet lockdown=confidentiality"


def tdx_rows(pages: int) -> list[tuple[int, int, int, int, int, int]]:
    """(offset, size, address, memory, kind, attributes): the volume, an empty part, one added at run time."""
    size = pages * PAGE
    return [
        (0, size - PAGE, (1 << 32) - size, size, 0, 1),
        (0, 0, 0x810000, 2 * PAGE, 3, 0),
        (0, 0, 0x100000, PAGE, 4, 2),
    ]


def entry(guid: str, content: bytes) -> bytes:
    return content + struct.pack("<H", len(content) + 18) + UUID(guid).bytes_le


def firmware(
    pages: int = 3,
    sev: list[tuple[int, int, int]] | None = None,
    tdx: list[tuple[int, int, int, int, int, int]] | None = None,
    without: str = "",
    extra: bytes = b"",
) -> bytes:
    """A firmware of so many pages; *without* is the first letters of a GUID that is left out of its table."""
    sev = SEV if sev is None else sev
    tdx = tdx_rows(pages) if tdx is None else tdx
    rows = b"".join(struct.pack("<III", *row) for row in sev)
    sev_list = struct.pack("<4sIII", b"ASEV", 16 + len(rows), 1, len(sev)) + rows
    rows = b"".join(struct.pack("<IIQQII", *row) for row in tdx)
    tdx_list = struct.pack("<4sIII", b"TDVF", 16 + len(rows), 1, len(tdx)) + rows
    lists_at = 2048  # from the end
    table = extra
    for guid, content in (
        ("00f771de-1a7e-4fcb-890e-68c77e2fb44e", struct.pack("<I", RESET_ADDRESS)),
        ("7255371f-3a3b-4b04-927b-1da6efa8d454", struct.pack("<II", HASHES_ADDRESS, 0x400)),
        ("dc886566-984a-4798-a75e-5585a7bf67cc", struct.pack("<I", lists_at)),
        ("e47a6535-984a-4798-865e-4685a7bf8ec2", struct.pack("<I", lists_at - len(sev_list))),
    ):
        if not (without and guid.startswith(without)):
            table += entry(guid, content)
    table += struct.pack("<H", len(table) + 18) + UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
    data = bytearray(index * 7 % 251 for index in range(pages * PAGE))
    start = len(data) - lists_at
    data[start : start + len(sev_list) + len(tdx_list)] = sev_list + tdx_list
    data[len(data) - 32 - len(table) : len(data) - 32] = table
    return bytes(data)


def kernel(tail: bytes = b"") -> bytes:
    """A bzImage with an EFI stub, as far as measuring goes: two headers and one section."""
    data = bytearray(0x400)
    data[0:2] = b"MZ"
    struct.pack_into("<I", data, 0x3C, 0x40)
    data[0x40:0x44] = b"PE\0\0"
    struct.pack_into("<HH12xH", data, 0x44, 0x8664, 1, 0xA0)
    optional = 0x40 + 24
    struct.pack_into("<H", data, optional, 0x20B)
    struct.pack_into("<I", data, optional + 60, 0x400)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, 0x20F)
    struct.pack_into("<I", data, 0x22C, 0x7FFF_FFFF)
    struct.pack_into("<H", data, 0x236, 2)
    body = bytes(range(256)) * 2 + tail
    struct.pack_into("<II", data, optional + 0xA0 + 16, len(body), 0x400)
    return bytes(data) + body


def write_image(folder: Path, **contents: bytes) -> ImageFiles:
    """The files in *folder*; *contents* replaces some by name."""
    made = {
        "firmware": firmware(),
        "kernel": kernel(),
        "initrd": b"initrd" * 1000,
        "command_line": COMMAND_LINE.encode(),
    } | contents
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return ImageFiles(**{name: folder / name for name in made})
