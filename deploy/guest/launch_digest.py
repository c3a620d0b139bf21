# SPDX-License-Identifier: Apache-2.0
"""The launch digest of SEV-SNP, computed as the processor does it (AMD publication 56860, SNP_LAUNCH_UPDATE).

Each page that is added extends the digest by its hash, its kind and its guest address. This is a
computation of our own: `calculator` asks a library for the same number, and the two must agree.
"""

import hashlib
import struct
from enum import IntEnum
from typing import Final

from trustedpods.guest.firmware import PAGE, Firmware, SevKind, SevSection, sev_sections
from trustedpods.guest.kernel_hashes import TABLE_BYTES, KernelHashes
from trustedpods.guest.processors import MachineShape
from trustedpods.guest.save_area import FIRST_ADDRESS, save_area
from trustedpods.protocol.errors import BadInput

DIGEST_BYTES: Final = 48
_NOTHING: Final = bytes(DIGEST_BYTES)
_PAGE_INFO: Final = struct.Struct("<48s48sHBBBBBBQ")
_SAVE_AREA_ADDRESS: Final = 0xFFFF_FFFF_F000
"""Pages of registers lie nowhere in the guest's memory; all of them are recorded here."""


class PageKind(IntEnum):
    """What the processor makes of a page."""

    NORMAL = 1
    SAVE_AREA = 2
    ZERO = 3
    UNMEASURED = 4
    SECRETS = 5
    CPUID = 6


_KINDS: Final = {
    SevKind.MEMORY: PageKind.ZERO,
    SevKind.CALLING_AREA: PageKind.ZERO,
    SevKind.SECRETS: PageKind.SECRETS,
    SevKind.CPUID: PageKind.CPUID,
}


def extend(digest: bytes, kind: PageKind, address: int, content: bytes | None = None) -> bytes:
    """The digest after one more page; *content* only of kinds whose bytes are measured."""
    hashed = _NOTHING if content is None else hashlib.sha384(content).digest()
    info = _PAGE_INFO.pack(digest, hashed, _PAGE_INFO.size, kind, 0, 0, 0, 0, 0, address)
    return hashlib.sha384(info).digest()


def firmware_digest(firmware: Firmware) -> bytes:
    """The digest after the pages of the file alone."""
    digest = _NOTHING
    for place in range(0, len(firmware.data), PAGE):
        page = firmware.data[place : place + PAGE]
        digest = extend(digest, PageKind.NORMAL, firmware.base + place, page)
    return digest


def launch_digest(firmware: Firmware, hashes: KernelHashes, shape: MachineShape, where: str) -> bytes:
    """What a report of this machine will have as MEASUREMENT; 48 bytes.

    BadInput (at *where*, the firmware) where it would not cover kernel, initrd and command line, or where the
    firmware does not say where its processors start.
    """
    sections = sev_sections(firmware, where)
    hashes_page = _hashes_page(firmware, sections, hashes, where)
    reset = firmware.reset_address
    if reset is None and shape.vcpus > 1:
        raise BadInput("the firmware does not say where further processors start: 1 vCPU only", where=where)
    digest = firmware_digest(firmware)
    for section in sections:
        if section.kind is SevKind.KERNEL_HASHES:
            digest = extend(digest, PageKind.NORMAL, section.address, hashes_page)
            continue
        for address in range(section.address, section.address + section.size, PAGE):
            digest = extend(digest, _KINDS[section.kind], address)
    for number in range(shape.vcpus):
        start = FIRST_ADDRESS if number == 0 or reset is None else reset
        page = save_area(start, shape.signature, shape.features)
        digest = extend(digest, PageKind.SAVE_AREA, _SAVE_AREA_ADDRESS, page)
    return digest


def _hashes_page(firmware: Firmware, sections: list[SevSection], hashes: KernelHashes, where: str) -> bytes:
    """The page of hashes, once the firmware has exactly one place for it."""
    places = [section for section in sections if section.kind is SevKind.KERNEL_HASHES]
    address = firmware.hashes_address
    if len(places) != 1 or address is None:
        raise BadInput(
            "the firmware measures no kernel, initrd and command line (it has no SNP_KERNEL_HASHES section):"
            " whatever is started would have one digest",
            where=where,
            hint="build OvmfPkg/AmdSev/AmdSevX64; Debian's package ovmf has no such build",
        )
    (place,) = places
    if place.size != PAGE or not 0 <= address - place.address <= PAGE - TABLE_BYTES:
        raise BadInput("the firmware's place for hashes is not in the page that is measured", where=where)
    singles = [one for one in sections if one.kind in (SevKind.SECRETS, SevKind.CPUID) and one.size != PAGE]
    if singles:
        raise BadInput("the firmware's pages for secrets and CPUID are not one each", where=where)
    return hashes.page(address)
