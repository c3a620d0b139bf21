# SPDX-License-Identifier: Apache-2.0
"""The only door to sev-snp-measure, the library whose launch digest is compared with ours."""

from pathlib import Path

from sevsnpmeasure import guest, vcpu_types
from sevsnpmeasure.sev_mode import SevMode

from trustedpods.guest.processors import MachineShape
from trustedpods.protocol.errors import BadInput


def library_digest(
    firmware: Path, kernel: Path, initrd: Path, command_line: str, shape: MachineShape
) -> bytes:
    """The launch digest as the library computes it, 48 bytes; BadInput where it refuses the firmware."""
    signature = vcpu_types.CPU_SIGS[shape.model]
    files = (str(firmware), str(kernel), str(initrd))
    try:
        digest = guest.calc_launch_digest(
            SevMode.SEV_SNP, shape.vcpus, signature, *files, command_line, shape.features
        )
    except (RuntimeError, ValueError, AttributeError) as error:
        raise BadInput(f"sev-snp-measure refuses the firmware: {error}", where=str(firmware)) from error
    return bytes(digest)
