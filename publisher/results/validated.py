# SPDX-License-Identifier: Apache-2.0
"""`validate`: a manifest that is sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # messages cost validate a third of its time
    from trustedpods.protocol.messages.provider import TrustClass


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """A manifest, its secrets and images that are sound. `images` are digests by container.

    CPU and memory are one replica's, in thousandths of a core and MiB; volumes are the pod's, in MiB.
    """

    pod: str
    images: Mapping[str, str]
    image_bytes: int
    cpu_milli: int
    memory_mib: int
    volume_mib: int
    trust: "TrustClass"
