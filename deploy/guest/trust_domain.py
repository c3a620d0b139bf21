# SPDX-License-Identifier: Apache-2.0
"""MRTD of TDX: what a trust domain's memory is when it starts, which is the firmware alone.

As the TDX module computes it (TDH.MEM.PAGE.ADD, TDH.MR.EXTEND): SHA-384 over a record of 128 bytes for each
page that is added and, where the section says so, over each 256 bytes of its content. The order is the
host's: qemu measures each page as it adds it; older ones added all pages of a section first. A release says
which it means.
"""

import hashlib
from enum import StrEnum
from typing import Final

from trustedpods.guest.firmware import PAGE, Firmware, TdxSection, tdx_sections

_CHUNK: Final = 256


class PageOrder(StrEnum):
    """In which order the host adds and measures the pages of a section."""

    PAGE_BY_PAGE = "page-by-page"
    SECTION_BY_SECTION = "section-by-section"


def mrtd(firmware: Firmware, order: PageOrder, where: str) -> bytes:
    """MRTD of a trust domain with this firmware, 48 bytes; BadInput where it has no TDX part."""
    total = hashlib.sha384()
    for section in tdx_sections(firmware, where):
        if section.at_run_time:
            continue
        pages = range(0, section.memory, PAGE)
        for page in pages:
            total.update(_record(b"MEM.PAGE.ADD", section.address + page))
            if section.extended and order is PageOrder.PAGE_BY_PAGE:
                total.update(_extension(firmware, section, page))
        if section.extended and order is PageOrder.SECTION_BY_SECTION:
            for page in pages:
                total.update(_extension(firmware, section, page))
    return total.digest()


def _extension(firmware: Firmware, section: TdxSection, page: int) -> bytes:
    """The records and contents of one page; behind the section's part of the file it is zero."""
    part = firmware.data[section.offset : section.offset + section.size]
    content = part[page : page + PAGE].ljust(PAGE, b"\0")
    chunks = range(0, PAGE, _CHUNK)
    return b"".join(
        _record(b"MR.EXTEND", section.address + page + at) + content[at : at + _CHUNK] for at in chunks
    )


def _record(name: bytes, address: int) -> bytes:
    return (name.ljust(16, b"\0") + address.to_bytes(8, "little")).ljust(128, b"\0")
