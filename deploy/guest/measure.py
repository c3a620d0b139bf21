# SPDX-License-Identifier: Apache-2.0
"""From an image's files to its numbers: one for each shape on SEV-SNP, three registers on TDX."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trustedpods.guest.calculator import library_digest
from trustedpods.guest.firmware import MAX_FIRMWARE, Firmware, parse_firmware
from trustedpods.guest.kernel_hashes import KernelHashes
from trustedpods.guest.launch_digest import launch_digest
from trustedpods.guest.processors import MachineShape
from trustedpods.guest.registers import rtmr1, rtmr2
from trustedpods.guest.trust_domain import PageOrder, mrtd
from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.protocol.limits import GIB, MIB
from trustedpods.protocol.whole_file import read_whole

MAX_KERNEL: Final = 256 * MIB
"""Debian's has 12 MiB; with an initrd inside it may have 100."""

MAX_INITRD: Final = GIB
"""It is unpacked into memory; ours has 3 MiB."""

MAX_COMMAND_LINE: Final = 2047
"""Linux on x86 keeps 2048 bytes with the zero at the end, and cuts what is longer."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Files that a machine is started from; `command_line` is a file with that text and nothing else."""

    firmware: Path
    kernel: Path
    initrd: Path
    command_line: Path


@dataclass(frozen=True, slots=True)
class SnpMeasurement:
    """The launch digest (48 bytes) of one shape of machine."""

    shape: MachineShape
    digest: bytes


@dataclass(frozen=True, slots=True)
class TdxMeasurement:
    """The registers of a trust domain with at least 2816 MiB, 48 bytes each, for one order of pages."""

    order: PageOrder
    mrtd: bytes
    rtmr1: bytes
    rtmr2: bytes


@dataclass(frozen=True, slots=True)
class MeasureResult:
    """SHA-256 of each file (hexadecimal, by name), and what the machine measures to."""

    artefacts: tuple[tuple[str, str], ...]
    snp: tuple[SnpMeasurement, ...] = ()
    tdx: tuple[TdxMeasurement, ...] = ()


@dataclass(frozen=True, slots=True)
class _Contents:
    firmware: Firmware
    kernel: bytes
    initrd: bytes
    command_line: str
    artefacts: tuple[tuple[str, str], ...]


def measure_snp(files: ImageFiles, shapes: Iterable[MachineShape]) -> MeasureResult:
    """The launch digest of each shape, by our computation and by the library's, which are equal.

    BadInput for files that cannot be measured, naming the file and why.
    """
    found = _read(files)
    hashes = KernelHashes.of(found.kernel, found.initrd, found.command_line)
    measured = []
    for shape in shapes:
        digest = launch_digest(found.firmware, hashes, shape, str(files.firmware))
        again = library_digest(files.firmware, files.kernel, files.initrd, found.command_line, shape)
        if digest != again:
            raise TrustedPodsError(
                f"two computations of one launch digest differ: {digest.hex()} here, {again.hex()} by"
                " sev-snp-measure; neither may be published",
                where=str(files.firmware),
            )
        measured.append(SnpMeasurement(shape, digest))
    return MeasureResult(found.artefacts, snp=tuple(measured))


def measure_tdx(files: ImageFiles) -> MeasureResult:
    """The registers of a trust domain, for each order of pages; RTMR0 is not among them (`registers`)."""
    found = _read(files)
    where = str(files.kernel)
    first = rtmr1(found.kernel, len(found.initrd), where)
    second = rtmr2(found.command_line, found.initrd)
    measured = (
        TdxMeasurement(order, mrtd(found.firmware, order, str(files.firmware)), first, second)
        for order in PageOrder
    )
    return MeasureResult(found.artefacts, tdx=tuple(measured))


def _read(files: ImageFiles) -> _Contents:
    firmware = read_whole(files.firmware, MAX_FIRMWARE)
    kernel, initrd = read_whole(files.kernel, MAX_KERNEL), read_whole(files.initrd, MAX_INITRD)
    line = read_whole(files.command_line, MAX_COMMAND_LINE)
    named = (("firmware", firmware), ("kernel", kernel), ("initrd", initrd), ("cmdline", line))
    return _Contents(
        parse_firmware(firmware, str(files.firmware)),
        kernel,
        initrd,
        command_line(line, str(files.command_line)),
        tuple((name, hashlib.sha256(data).hexdigest()) for name, data in named),
    )


def command_line(raw: bytes, where: str) -> str:
    """The text of a command line; BadInput for what a boot loader might hand over otherwise."""
    if raw.endswith(b"\n"):
        raise BadInput("it ends in a line break, which would be measured too", where=where)
    if not raw or any(not 0x20 <= byte < 0x7F for byte in raw):
        raise BadInput("a command line is one line of printable ASCII, not empty", where=where)
    return raw.decode("ascii")
