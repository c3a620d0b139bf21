# SPDX-License-Identifier: Apache-2.0
"""The files that an emulated machine boots, kept aside, and what the host measured of them.

A confidential machine's processor measures what it is given. Here the host takes copies, measures these and
boots these: nothing that is written into the image's folder afterwards is booted under that number. The root
is not copied: its hash is in the command line, which is measured.
"""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from trustedpods.guest.firmware import MAX_FIRMWARE
from trustedpods.guest.machine import (
    COMMAND_LINE,
    FIRMWARE,
    INITRD,
    KERNEL,
    Machine,
    Platform,
    image_files,
    machine_of,
)
from trustedpods.guest.measure import MAX_INITRD, MAX_KERNEL, ImageFiles, measure_snp
from trustedpods.guest.processors import MachineShape
from trustedpods.localnet.folders import replace_file
from trustedpods.protocol.attestation.snp.policy import MEASUREMENT_BYTES
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import private_folder, read_whole

VCPUS: Final = 2
MODEL: Final = "EPYC-Milan"
"""What simulated reports say they come from. The emulated processor is another: nothing in it measures."""

MEMORY_MIB: Final = 4096
"""Kubernetes, the daemon and the image's own caches take 2.7 GiB of it; the rest is for pods."""

_MEASUREMENT: Final = "measurement"


def machine(image: Path) -> Machine:
    """The machine of *image*, whose log goes to the console; BadInput names what the folder does not have."""
    image_files(image, Platform.SNP)
    return machine_of(
        image, Platform.EMULATION, vcpus=VCPUS, model=MODEL, memory_mib=MEMORY_MIB, console=True
    )


def keep(image: Path, folder: Path) -> Machine:
    """The machine of *image* with kernel, initrd and command line in *folder*, and their measurement beside.

    BadInput for what cannot be measured. The firmware is measured as if it had started the kernel: emulation
    has none that would.
    """
    found, files = machine(image), image_files(image, Platform.SNP)
    private_folder(folder)
    (folder / _MEASUREMENT).unlink(missing_ok=True)
    names = FIRMWARE[Platform.SNP], KERNEL, INITRD, COMMAND_LINE
    kept = ImageFiles(*(folder / name for name in names))
    for source, target, most in (
        (files.firmware, kept.firmware, MAX_FIRMWARE),
        (files.kernel, kept.kernel, MAX_KERNEL),
        (files.initrd, kept.initrd, MAX_INITRD),
    ):
        replace_file(target, read_whole(source, most))
    replace_file(kept.command_line, found.line.encode())
    (measured_now,) = measure_snp(kept, [MachineShape(VCPUS, MODEL)]).snp
    replace_file(folder / _MEASUREMENT, measured_now.digest.hex().encode())
    return replace(found, kernel=kept.kernel, initrd=kept.initrd)


def measurement(folder: Path) -> bytes:
    """What was measured of the files in *folder*; BadInput where nothing was."""
    text = read_whole(folder / _MEASUREMENT, 2 * MEASUREMENT_BYTES)
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise BadInput("no measurement", where=str(folder / _MEASUREMENT)) from None


def measured(image: Path) -> bytes:
    """What a machine of *image* measures to as it is now, 48 bytes; raises as `keep`."""
    with tempfile.TemporaryDirectory() as folder:
        keep(image, Path(folder))
        return measurement(Path(folder))
