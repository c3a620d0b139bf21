# SPDX-License-Identifier: Apache-2.0
"""qemu's models of AMD processors, by the number that each starts with, and the shapes of machines."""

from dataclasses import dataclass
from typing import Final

from trustedpods.protocol.errors import BadInput

MAX_VCPUS: Final = 512
"""More than one machine of two sockets has threads for."""

_FAMILIES: Final = {  # family, model, stepping, as qemu defines them; a model's versions are alike in these
    "EPYC": (23, 1, 2),
    "EPYC-Rome": (23, 49, 0),
    "EPYC-Milan": (25, 1, 1),
    "EPYC-Genoa": (25, 17, 0),
    "EPYC-Turin": (26, 0, 0),
}
MODELS: Final = (
    *("EPYC", "EPYC-v1", "EPYC-v2", "EPYC-v3", "EPYC-v4"),
    *("EPYC-Rome", "EPYC-Rome-v1", "EPYC-Rome-v2", "EPYC-Rome-v3"),
    *("EPYC-Milan", "EPYC-Milan-v1", "EPYC-Milan-v2"),
    *("EPYC-Genoa", "EPYC-Genoa-v1"),
    "EPYC-Turin",
)
"""What `-cpu` of qemu may say. `host` has no number that could be known beforehand."""

FEATURES: Final = (0x1, 0x21)
"""SNP alone, and SNP with debug registers swapped: what kernels of hosts turn on (SEV_FEATURES)."""


@dataclass(frozen=True, slots=True)
class MachineShape:
    """What of a machine the launch digest covers besides its files.

    Memory, disks and network are not in it. BadInput for what cannot be computed.
    """

    vcpus: int
    model: str
    features: int = FEATURES[0]

    def __post_init__(self) -> None:
        """Refuse by name."""
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise BadInput(f"{self.vcpus} vCPUs: from 1 to {MAX_VCPUS}")
        if self.model not in MODELS:
            raise BadInput(f"unknown processor model {self.model!r}", hint=f"one of {', '.join(MODELS)}")
        if self.features not in FEATURES:
            raise BadInput(f"guest features {self.features:#x}: only 0x1 and 0x21 are known")

    @property
    def signature(self) -> int:
        """EAX of CPUID 1 for the model, which the processor starts with in EDX."""
        family, model, stepping = _FAMILIES[self.model.split("-v")[0]]
        extended, base = max(family - 15, 0), min(family, 15)
        return extended << 20 | model >> 4 << 16 | base << 8 | (model & 15) << 4 | stepping
