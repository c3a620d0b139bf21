# SPDX-License-Identifier: Apache-2.0
"""A machine of plain emulation, started from an image's files, and what it said on its serial port.

Nothing is measured in it and nothing is encrypted: it shows what the image does, not what a processor
attests.
"""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.deploy.guest_image.builder import (
    EPOCH,
    FOLDER,
    debian_packages,
    firmware,
    image,
    initrd,
    kernel,
    parts,
    pins,
    settling,
    sources,
    staging,
    verity,
)
from trustedpods.guest.machine import CONSOLE_WORDS, Platform, machine_of, qemu_words
from trustedpods.localnet.cluster import binaries

MEMORY_MIB = 3072
"""Above 2816 MiB, as a release asks for."""

LONGEST = 1800.0
"""Seconds that a machine may take. It needs 10 of processor time to the last line; everything may be busy."""

_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Boot:
    """What was said, and whether the machine ended by itself (a panic restarts it: here its end)."""

    said: str
    ended: bool


def boot(image: Path, log: Path, *, until: str, line: str | None = None, root: Path | None = None,
         initrd: Path | None = None, more: tuple[str, ...] = ()) -> Boot:  # fmt: skip
    """Start it and wait for *until* on its console, or its end; the machine is gone afterwards.

    By the very command that `guest run --platform emulation` prints. *line*, *root* and *initrd* are put in
    the place of the image's; *line* without the words of the console.
    """
    machine = machine_of(
        image, Platform.EMULATION, vcpus=2, model="EPYC-v4", memory_mib=MEMORY_MIB, console=True
    )
    machine = replace(
        machine,
        root=root or machine.root,
        initrd=initrd or machine.initrd,
        line=machine.line if line is None else line + CONSOLE_WORDS,
    )
    argv = ["nice", "-n", "19", *qemu_words(machine), *more]
    with log.open("wb") as console, subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
    ) as running:  # fmt: skip
        end = time.monotonic() + LONGEST
        try:
            while time.monotonic() < end:
                ended = running.poll() is not None
                said = log.read_text(errors="replace")
                if ended or until in said:
                    return Boot(said, ended)
                time.sleep(_LOOK)
            raise AssertionError(f"neither {until!r} nor its end in {LONGEST:.0f} s:\n{said[-2000:]}")
        finally:
            running.kill()


def small_image(out: Path, more: Callable[[Path], None] = lambda _root: None) -> Path:
    """An image as `make guest` makes it, but with nothing in its root beside the program that starts it.

    It stops once every door was tried: there is no daemon to start, unless *more* puts something into the
    root. Needs the tools of `make guest`.
    """
    kernel, root = the_kernel(), out / "root"
    root.mkdir()
    more(root)
    for name in ("dev", "mnt", "proc", "run", "sys", "tmp", "var", "usr"):
        (root / name).mkdir(exist_ok=True)
    program = parts.init_program(FOLDER / "init", binaries.cache())
    staging.put(root / image.OURS / "init", program.read_bytes(), 0o755)
    settling.settle(root, EPOCH)
    image.erofs(root, out / "root.img", EPOCH)
    line = image.command_line(verity.append_tree(out / "root.img"))
    (out / "cmdline").write_text(line)
    (out / "initrd.img").write_bytes(initrd.initrd(program.read_bytes(), line))
    (out / "vmlinuz").write_bytes((kernel / "vmlinuz").read_bytes())
    return out


def the_kernel() -> Path:
    """The folder of the image's kernel, built where the cache does not have it (minutes)."""
    return kernel.built(the_source(), binaries.cache())


def the_source() -> Path:
    """The pinned package of the kernel's source."""
    pinned = pins.read((FOLDER / "pins.txt").read_text()).packages
    sources = [pin for pin in pinned if pin.name.startswith(parts.KERNEL)]
    (package,) = debian_packages.fetched(sources, binaries.cache())
    return package


def the_firmware() -> Path:
    """The folder of the image's firmware, built where the cache does not have it (minutes)."""
    archives, epoch = the_firmwares_source()
    return firmware.built(archives, epoch, binaries.cache())


def the_firmwares_source() -> tuple[list[Path], int]:
    """The pinned archives of the firmware's source, and the time that its build is told."""
    epoch = pins.read((FOLDER / "pins.txt").read_text()).epoch
    return sources.fetched(sources.read((FOLDER / "edk2.txt").read_text()), binaries.cache()), epoch
