# SPDX-License-Identifier: Apache-2.0
"""`validate`: a manifest that is sound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    # messages cost validate a third of its time
    from trustedpods.protocol.messages.provider import TrustClass

UpdateWay = Literal["beside", "stops-first", "kept"]
"""A newer version proves itself beside the one before; of a pod with a volume that one is stopped first:
two may not write one volume. `kept`: nothing that runs changes, and so it runs on."""


def update_way(stops: bool) -> UpdateWay:
    """What an update does with the version before; *stops* where both must not run at once."""
    return "stops-first" if stops else "beside"


@dataclass(frozen=True, slots=True)
class ValidateResult:
    """A manifest, its secrets and images that are sound. `images` are digests by container.

    CPU and memory are one replica's, in thousandths of a core and MiB; volumes are the pod's, in MiB.
    `update` says what an update does with the version before it, `warnings` what may be meant otherwise, each
    with its place.
    """

    pod: str
    images: Mapping[str, str]
    image_bytes: int
    cpu_milli: int
    memory_mib: int
    volume_mib: int
    update: UpdateWay
    trust: "TrustClass"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ValidatedNetwork:
    """A Network file that is sound with all of its nodes' files: each node's pod, and its cluster.

    The cluster is None where an apply chooses it.
    `members` counts the team that the file gives; None where it leaves the team as it is.
    """

    network: str
    nodes: Mapping[str, ValidateResult]
    clusters: Mapping[str, str | None]
    members: int | None


@dataclass(frozen=True, slots=True)
class DraftResult:
    """A manifest that was made for an image: its text, and the file that it was written to, if it was.

    `notes` say what a person should look at.
    """

    pod: str
    manifest: str
    file: str | None
    notes: tuple[str, ...]
