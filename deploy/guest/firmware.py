# SPDX-License-Identifier: Apache-2.0
"""OVMF firmware files: the tables at their end say what is measured when a confidential machine starts.

A file ends in entries of (content, length, GUID), read backwards from the footer. Two of them point at
lists of sections: one for SEV-SNP, one for TDX. Everything is checked before it is used: the file may be
anybody's.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final
from uuid import UUID

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB

PAGE: Final = 4096
MAX_FIRMWARE: Final = 16 * MIB
"""What qemu maps below 4 GiB at most; OVMF's builds have 2 to 4 MiB."""

MAX_SECTIONS: Final = 64
"""OVMF has eight or nine."""

MAX_SECTION: Final = 64 * MIB
"""Of memory that one section describes: page by page it is hashed."""

_TOP: Final = 1 << 32
"""The file is mapped so that it ends here."""

_BEHIND_FOOTER: Final = 32
_ENTRY: Final = 18
"""Length and GUID of an entry."""

_FOOTER: Final = UUID("96b582de-1fb2-45f7-baea-a366c55a082d")
_RESET_BLOCK: Final = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e")
_HASHES_TABLE: Final = UUID("7255371f-3a3b-4b04-927b-1da6efa8d454")
_SEV_SECTIONS: Final = UUID("dc886566-984a-4798-a75e-5585a7bf67cc")
_TDX_SECTIONS: Final = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2")
_SVSM: Final = UUID("a789a612-0597-4c4b-a49f-cbb1fe9d1ddd")


class SevKind(IntEnum):
    """What a section is to the processor when the machine is launched."""

    MEMORY = 1
    SECRETS = 2
    CPUID = 3
    CALLING_AREA = 4
    KERNEL_HASHES = 0x10


@dataclass(frozen=True, slots=True)
class SevSection:
    """Pages that SEV-SNP measures: guest address and size in bytes, whole pages."""

    address: int
    size: int
    kind: SevKind


@dataclass(frozen=True, slots=True)
class TdxSection:
    """Pages of a trust domain: where they lie in the file and in memory, in bytes, and how they are added."""

    offset: int
    size: int
    address: int
    memory: int
    extended: bool
    at_run_time: bool


@dataclass(frozen=True, slots=True)
class Firmware:
    """A firmware file with the entries of its table."""

    data: bytes
    entries: Mapping[UUID, bytes]

    @property
    def base(self) -> int:
        """The guest address of its first byte."""
        return _TOP - len(self.data)

    def number(self, entry: UUID) -> int | None:
        """The first 32 bits of an entry; None where there is none."""
        content = self.entries.get(entry, b"")
        return int.from_bytes(content[:4], "little") if len(content) >= 4 else None

    @property
    def reset_address(self) -> int | None:
        """Where all processors but the first start; None where it is not said."""
        return self.number(_RESET_BLOCK)

    @property
    def hashes_address(self) -> int | None:
        """Where the hashes of kernel, initrd and command line lie; None where it takes none."""
        return self.number(_HASHES_TABLE) or None


def parse_firmware(data: bytes, where: str) -> Firmware:
    """The firmware in *data*; BadInput (at *where*) for a file that is none."""
    if not PAGE <= len(data) <= MAX_FIRMWARE or len(data) % PAGE:
        raise BadInput(
            f"{len(data)} bytes are no firmware: whole pages of 4 KiB, at most {MAX_FIRMWARE // MIB} MiB",
            where=where,
        )
    end = len(data) - _BEHIND_FOOTER
    length, footer = _entry_at(data, end)
    if footer != _FOOTER or not _ENTRY <= length <= end:
        raise BadInput("no OVMF firmware: it does not end in a table of GUIDs", where=where)
    first, place = end - length, end - _ENTRY
    entries: dict[UUID, bytes] = {}
    while place - first >= _ENTRY:
        size, guid = _entry_at(data, place)
        if not _ENTRY <= size <= place - first or guid in entries:
            raise BadInput("the firmware's table of GUIDs is damaged", where=where)
        entries[guid] = data[place - size : place - _ENTRY]
        place -= size
    if _SVSM in entries:
        raise BadInput("a secure service module (SVSM): its launch cannot be computed here", where=where)
    return Firmware(data, entries)


def _entry_at(data: bytes, end: int) -> tuple[int, UUID]:
    """(length, GUID) of the entry that ends at *end*."""
    return struct.unpack_from("<H", data, end - _ENTRY)[0], UUID(bytes_le=data[end - 16 : end])


def sev_sections(firmware: Firmware, where: str) -> list[SevSection]:
    """What SEV-SNP measures besides the file, in its order; BadInput where that cannot be known."""
    rows = _rows(firmware, _SEV_SECTIONS, b"ASEV", "<III", where)
    return [_sev_section(row, where) for row in rows]


def _sev_section(row: tuple[int, ...], where: str) -> SevSection:
    address, size, kind = row
    if kind not in list(SevKind):
        raise BadInput(f"the firmware has a section of the unknown kind {kind:#x}", where=where)
    if address % PAGE or size % PAGE or not 0 < size <= MAX_SECTION:
        raise BadInput(f"the firmware's section at {address:#x} is not of whole pages", where=where)
    return SevSection(address, size, SevKind(kind))


def tdx_sections(firmware: Firmware, where: str) -> list[TdxSection]:
    """What a trust domain begins with, in its order; BadInput where that cannot be known."""
    rows = _rows(firmware, _TDX_SECTIONS, b"TDVF", "<IIQQII", where)
    return [_tdx_section(firmware, row, where) for row in rows]


def _tdx_section(firmware: Firmware, row: tuple[int, ...], where: str) -> TdxSection:
    offset, size, address, memory, _, attributes = row
    whole = not (address % PAGE or memory % PAGE) and address < 1 << 52 and 0 < memory <= MAX_SECTION
    if not whole or size > memory or offset + size > len(firmware.data) or attributes > 3:
        raise BadInput(f"the firmware's section at {address:#x} is damaged", where=where)
    return TdxSection(offset, size, address, memory, bool(attributes & 1), bool(attributes & 2))


def _rows(firmware: Firmware, entry: UUID, magic: bytes, row: str, where: str) -> list[tuple[int, ...]]:
    """The rows of the list that *entry* points at, counted from the end of the file.

    The two lists' heads differ in the order of nothing: magic, length, version 1, number of rows.
    """
    name = "SEV-SNP" if magic == b"ASEV" else "TDX"
    back = firmware.number(entry)
    if back is None:
        raise BadInput(f"the firmware has no sections for {name}: it was built without it", where=where)
    start = len(firmware.data) - back
    if not 0 <= start <= len(firmware.data) - 16:
        raise BadInput(f"the firmware's list of sections for {name} lies outside of it", where=where)
    found, _, version, count = struct.unpack_from("<4sIII", firmware.data, start)
    end = start + 16 + count * struct.calcsize(row)
    if found != magic or version != 1 or not 0 < count <= MAX_SECTIONS or end > len(firmware.data):
        raise BadInput(f"the firmware's list of sections for {name} is damaged, or newer", where=where)
    return list(struct.iter_unpack(row, firmware.data[start + 16 : end]))
