# SPDX-License-Identifier: Apache-2.0
"""RTMR1 and RTMR2 of TDX: what a trust domain loads after its firmware, when qemu hands it a kernel.

RTMR1 holds the kernel as an EFI program and the firmware's words around it; RTMR2 the command line and the
initrd, measured by the kernel's EFI stub. RTMR0 is not computed: the host's ACPI tables, its memory map and
its devices are in it, so a number would name one host's qemu; the image's kernel refuses those tables any
access to memory instead.
"""

import hashlib
import struct
from typing import Final

from trustedpods.guest.executable import authenticode
from trustedpods.protocol.errors import BadInput

LEAST_MEMORY_MIB: Final = 2816
"""From here on qemu's q35 puts the initrd at one place, whatever the memory; below, RTMR1 depends on it."""

_LOW_MEMORY: Final = 0x8000_0000
"""Memory below 4 GiB of a machine that has at least that much."""

_ACPI_BYTES: Final = 0x28000
"""What qemu keeps free at the top of it."""

_LEAST_PROTOCOL: Final = 0x20C
"""The first boot protocol with `xloadflags`; Linux 3.8."""

_REAL_MODE: Final = 0x10000
_COMMAND_LINE_PLACE: Final = 0x20000

ADDED_BY_FIRMWARE: Final = " initrd=initrd"
"""What OVMF appends to a command line that comes with an initrd."""

_WORDS: Final = (
    b"Calling EFI Application from Boot Option",
    bytes(4),  # a separator: the firmware's part has ended
    b"Exit Boot Services Invocation",
    b"Exit Boot Services Returned with Success",
)


def rtmr1(kernel: bytes, initrd_bytes: int, where: str) -> bytes:
    """RTMR1 after the start of *kernel* with an initrd of that size, 48 bytes. BadInput (at *where*)."""
    program = authenticode(as_loaded(kernel, initrd_bytes, where), where)
    return _register(program, *(hashlib.sha384(words).digest() for words in _WORDS))


def rtmr2(command_line: str, initrd: bytes) -> bytes:
    """RTMR2 after the start of a kernel with these, 48 bytes: the line in UTF-16, then the initrd."""
    line = (command_line + ADDED_BY_FIRMWARE + "\0").encode("utf-16-le")
    return _register(hashlib.sha384(line).digest(), hashlib.sha384(initrd).digest())


def as_loaded(kernel: bytes, initrd_bytes: int, where: str) -> bytes:
    """The file as the firmware gets it: qemu fills in the setup header of Linux's boot protocol."""
    if len(kernel) < 0x268 or kernel[0x202:0x206] != b"HdrS":
        raise BadInput("not a Linux kernel (bzImage)", where=where)
    protocol, highest, flags = struct.unpack_from("<H36xI6xH", kernel, 0x206)
    if protocol < _LEAST_PROTOCOL:
        raise BadInput(
            f"a kernel of boot protocol {protocol:#x}, older than {_LEAST_PROTOCOL:#x}", where=where
        )
    above_4g = bool(flags & 2)
    top = min(0xFFFF_FFFF if above_4g else highest, _LOW_MEMORY - _ACPI_BYTES - 1)
    if initrd_bytes > top:
        raise BadInput(f"an initrd of {initrd_bytes} bytes does not fit below 2 GiB", where=where)
    patched = bytearray(kernel)
    patched[0x210] = 0xB0  # loaded by qemu
    patched[0x211] |= 0x80  # there is a heap
    struct.pack_into("<II", patched, 0x218, (top - initrd_bytes) & ~0xFFF, initrd_bytes)
    struct.pack_into("<H", patched, 0x224, _COMMAND_LINE_PLACE - _REAL_MODE - 0x200)
    struct.pack_into("<I", patched, 0x228, _COMMAND_LINE_PLACE)
    return bytes(patched)


def _register(*digests: bytes) -> bytes:
    value = bytes(48)
    for digest in digests:
        value = hashlib.sha384(value + digest).digest()
    return value
