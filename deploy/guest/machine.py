# SPDX-License-Identifier: Apache-2.0
"""A machine of one image: its files in a folder, its shape, and the command line that qemu starts it by.

What is measured of it (`measure`) and what is started are of the same files and the same shape. Nothing is
started here.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from trustedpods.guest.measure import MAX_COMMAND_LINE, ImageFiles, command_line
from trustedpods.guest.processors import MachineShape
from trustedpods.guest.registers import LEAST_MEMORY_MIB
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import read_whole

KERNEL: Final = "vmlinuz"
INITRD: Final = "initrd.img"
ROOT: Final = "root.img"
COMMAND_LINE: Final = "cmdline"

CONSOLE_WORDS: Final = " earlyprintk=serial,ttyS0,115200,keep console=ttyprintk"
"""The one ending of the image's command line by which its log goes out by the serial port (deploy/guest_image
/init/command_line.go accepts no other). The measurement of such a machine is another one."""

ROOT_SERIAL: Final = "trustedpods-root"
"""By which the initrd finds the root among the disks."""

SNP_POLICY: Final = 0x30000
"""Guest policy: hyperthreads allowed and the bit that is always 1; no debugging, no migration agent."""

TDX_ATTRIBUTES: Final = 0x1000_0000
"""SEPT_VE_DISABLE; no debugging."""

QUOTE_SOCKET: Final = "/var/run/tdx-qgs/qgs.socket"
"""Where Intel's quote generation service listens, and where libvirt looks for it."""

CBIT: Final = 51
"""Which bit of an address says encrypted: that of every processor with SEV-SNP so far (CPUID 8000001F)."""

MAX_MEMORY_MIB: Final = 16 * 1024 * 1024
"""More than one machine of two sockets takes."""


class Platform(StrEnum):
    """What keeps the machine from its host; emulation keeps nothing, and measures nothing."""

    SNP = "snp"
    TDX = "tdx"
    EMULATION = "emulation"


FIRMWARE: Final = {Platform.SNP: "OVMF.snp.fd", Platform.TDX: "OVMF.tdx.fd"}
"""By platform, in an image's folder. `make guest` builds none: who has one puts it there."""

_BUILDS: Final = {Platform.SNP: "OvmfPkg/AmdSev/AmdSevX64", Platform.TDX: "OvmfPkg/IntelTdx/IntelTdxX64"}
"""What of edk2 is to be put there."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What is started: all paths absolute, *line* the whole command line, memory in MiB.

    `firmware` is None in emulation, where qemu's own starts the kernel. `model` is a processor of qemu's.
    """

    platform: Platform
    firmware: Path | None
    kernel: Path
    initrd: Path
    root: Path
    line: str
    vcpus: int
    model: str
    memory_mib: int
    console: bool


def image_files(folder: Path, platform: Platform) -> ImageFiles:
    """The measured files of the image in *folder*; BadInput names one that is not there."""
    firmware = _firmware(folder, platform)
    return ImageFiles(firmware, *(_there(folder, name) for name in (KERNEL, INITRD, COMMAND_LINE)))


def _there(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.is_file():
        raise BadInput(f"it has no {name}", where=str(folder), hint="`make guest` builds an image")
    return path.absolute()


def _firmware(folder: Path, platform: Platform) -> Path:
    path = folder / FIRMWARE[platform]
    if not path.is_file():
        hint = f"`make guest` builds it, edk2's {_BUILDS[platform]}: build the image anew"
        raise BadInput(f"it has no {path.name}", where=str(folder), hint=hint)
    return path.absolute()


def machine_of(
    folder: Path, platform: Platform, *, vcpus: int, model: str, memory_mib: int, console: bool
) -> Machine:
    """The machine of the image in *folder*; BadInput for what is not there or could not be measured.

    *model* counts on SEV-SNP alone: TDX shows the host's processor, emulation all that qemu has.
    """
    MachineShape(vcpus, model)
    if not LEAST_MEMORY_MIB <= memory_mib <= MAX_MEMORY_MIB:
        raise BadInput(f"{memory_mib} MiB of memory: from {LEAST_MEMORY_MIB} to {MAX_MEMORY_MIB}")
    path = _there(folder, COMMAND_LINE)
    line = command_line(read_whole(path, MAX_COMMAND_LINE), str(path))
    firmware = None if platform is Platform.EMULATION else _firmware(folder, platform)
    models = {Platform.SNP: model, Platform.TDX: "host,pmu=off", Platform.EMULATION: "max"}
    kernel, initrd, root = (_there(folder, name) for name in (KERNEL, INITRD, ROOT))
    whole = line + CONSOLE_WORDS if console else line
    return Machine(
        platform, firmware, kernel, initrd, root, whole, vcpus, models[platform], memory_mib, console
    )


def qemu_words(machine: Machine) -> tuple[str, ...]:
    """The whole command, with its program: qemu 9.1 or later for SEV-SNP, 10.1 for TDX, any in emulation.

    A panic of the guest ends it (`-no-reboot`). A comma in a path is doubled, as qemu wants it.
    """
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    words += ["-serial", "stdio" if machine.console else "none", "-monitor", "none"]
    words += _PLATFORM_WORDS[machine.platform](machine)
    words += ["-cpu", machine.model, "-smp", str(machine.vcpus), "-m", f"{machine.memory_mib}M"]
    if machine.firmware is not None:
        words += ["-bios", str(machine.firmware)]
    words += ["-kernel", str(machine.kernel), "-initrd", str(machine.initrd), "-append", machine.line]
    file = str(machine.root).replace(",", ",,")
    words += ["-drive", f"id=root,if=none,format=raw,readonly=on,file={file}"]
    bounce = "" if machine.platform is Platform.EMULATION else ",iommu_platform=on"
    words += ["-device", f"virtio-blk-pci,drive=root,serial={ROOT_SERIAL},disable-legacy=on{bounce}"]
    return tuple(words)


def _snp_words(machine: Machine) -> list[str]:
    board = "q35,confidential-guest-support=snp,memory-backend=ram,smm=off,vmport=off,hpet=off"
    guest = f"sev-snp-guest,id=snp,cbitpos={CBIT},reduced-phys-bits=1,policy={SNP_POLICY:#x},kernel-hashes=on"
    ram = f"memory-backend-memfd,id=ram,size={machine.memory_mib}M,share=true,prealloc=false"
    return ["-accel", "kvm", "-machine", board, "-object", ram, "-object", guest]


def _tdx_words(machine: Machine) -> list[str]:
    board = "q35,confidential-guest-support=tdx,kernel-irqchip=split,smm=off,vmport=off,hpet=off"
    guest = {
        "qom-type": "tdx-guest",
        "id": "tdx",
        "sept-ve-disable": True,
        "quote-generation-socket": {"type": "unix", "path": QUOTE_SOCKET},
    }
    return ["-accel", "kvm", "-machine", board, "-object", json.dumps(guest)]


def _emulation_words(machine: Machine) -> list[str]:
    return ["-accel", "tcg,thread=multi", "-machine", "q35,smbus=off,hpet=off"]


_PLATFORM_WORDS: Final = {
    Platform.SNP: _snp_words,
    Platform.TDX: _tdx_words,
    Platform.EMULATION: _emulation_words,
}
