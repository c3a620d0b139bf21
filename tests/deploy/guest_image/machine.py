# SPDX-License-Identifier: Apache-2.0
"""A machine of plain emulation, started from an image's files, and what it said on its serial port.

Nothing is measured in it and nothing is encrypted: it shows what the image does, not what a processor
attests.
"""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

MEMORY_MIB = 3072
"""Above 2816 MiB, as a release asks for."""

CONSOLE = " console=ttyS0,115200"
LONGEST = 900.0
"""Seconds that a machine may take. It needs 10 of processor time to the last line; everything may be busy."""

_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Boot:
    """What was said, and whether the machine ended by itself (a panic restarts it: here its end)."""

    said: str
    ended: bool


def boot(image: Path, log: Path, *, until: str, line: str | None = None, root: Path | None = None,
         initrd: Path | None = None, more: tuple[str, ...] = ()) -> Boot:  # fmt: skip
    """Start it and wait for *until* on its console, or its end; the machine is gone afterwards."""
    words = (image / "cmdline").read_text() + CONSOLE if line is None else line
    argv = [
        "nice",
        "-n",
        "19",
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=multi",
        "-machine",
        "q35,smbus=off,hpet=off",
    ]
    argv += [
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        str(MEMORY_MIB),
        "-nodefaults",
        "-no-user-config",
        "-no-reboot",
    ]
    argv += [
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        f"file:{log}",
        "-kernel",
        str(image / "vmlinuz"),
    ]
    argv += ["-initrd", str(initrd or image / "initrd.img"), "-append", words]
    argv += ["-drive", f"id=root,if=none,format=raw,readonly=on,file={root or image / 'root.img'}"]
    argv += ["-device", "virtio-blk-pci,drive=root,serial=trustedpods-root", *more]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT) as machine:
        end = time.monotonic() + LONGEST
        try:
            while time.monotonic() < end:
                ended = machine.poll() is not None
                said = log.read_text(errors="replace") if log.exists() else ""
                if ended or until in said:
                    return Boot(said, ended)
                time.sleep(_LOOK)
            raise AssertionError(f"neither {until!r} nor its end in {LONGEST:.0f} s:\n{said[-2000:]}")
        finally:
            machine.kill()
