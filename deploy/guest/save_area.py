# SPDX-License-Identifier: Apache-2.0
"""The page of registers with which a virtual processor starts (VMSA), as KVM and qemu make it.

Offsets are those of AMD's manual (publication 24593, table B-4); whatever is not named here is zero.
"""

import struct
from typing import Final

from trustedpods.guest.firmware import PAGE

FIRST_ADDRESS: Final = 0xFFFF_FFF0
"""Where the first processor starts: 16 bytes before 4 GiB."""

_SEGMENTS: Final = {  # offset: (selector, attributes, limit)
    0x00: (0, 0x93, 0xFFFF),  # ES
    0x10: (0xF000, 0x9B, 0xFFFF),  # CS; its base is that of the first instruction
    0x20: (0, 0x93, 0xFFFF),  # SS
    0x30: (0, 0x93, 0xFFFF),  # DS
    0x40: (0, 0x93, 0xFFFF),  # FS
    0x50: (0, 0x93, 0xFFFF),  # GS
    0x60: (0, 0, 0xFFFF),  # GDTR
    0x70: (0, 0x82, 0xFFFF),  # LDTR
    0x80: (0, 0, 0xFFFF),  # IDTR
    0x90: (0, 0x8B, 0xFFFF),  # TR
}
_REGISTERS: Final = {
    0x0D0: 0x1000,  # EFER: SVME, set by KVM
    0x148: 0x40,  # CR4: MCE, set by KVM
    0x158: 0x10,  # CR0
    0x160: 0x400,  # DR7
    0x168: 0xFFFF_0FF0,  # DR6
    0x170: 0x2,  # RFLAGS
    0x268: 0x0007_0406_0007_0406,  # PAT after a reset
    0x3E8: 0x1,  # XCR0
}
_CS_BASE: Final = 0x18
_RIP: Final = 0x178
_RDX: Final = 0x310
_SEV_FEATURES: Final = 0x3B0
_MXCSR: Final = 0x408
_FPU_CONTROL: Final = 0x410


def save_area(start: int, signature: int, features: int) -> bytes:
    """The page of a processor that starts at *start*, with its model's *signature* and SEV *features*."""
    page = bytearray(PAGE)
    for offset, (selector, attributes, limit) in _SEGMENTS.items():
        struct.pack_into("<HHI", page, offset, selector, attributes, limit)
    for offset, value in _REGISTERS.items():
        struct.pack_into("<Q", page, offset, value)
    struct.pack_into("<Q", page, _CS_BASE, start & 0xFFFF_0000)
    struct.pack_into("<Q", page, _RIP, start & 0xFFFF)
    struct.pack_into("<Q", page, _RDX, signature)
    struct.pack_into("<Q", page, _SEV_FEATURES, features)
    struct.pack_into("<I", page, _MXCSR, 0x1F80)
    struct.pack_into("<H", page, _FPU_CONTROL, 0x37F)
    return bytes(page)
