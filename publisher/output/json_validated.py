# SPDX-License-Identifier: Apache-2.0
"""JSON of `validate`, which loads no other form: it is to be as quick as its text."""

from typing import TYPE_CHECKING

from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.results.validated import DraftResult, ValidatedNetwork, ValidateResult

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers import manifests


@json_of.register(ValidateResult)
def validated_json(result: ValidateResult) -> "manifests.ValidateJson":
    """A manifest that is sound."""
    return {
        "pod": result.pod,
        "images": dict(result.images),
        "image_bytes": result.image_bytes,
        "cpu_milli": result.cpu_milli,
        "memory_mib": result.memory_mib,
        "volume_mib": result.volume_mib,
        "update": result.update,
        "trust": result.trust,
        "warnings": list(result.warnings),
        "valid": True,
    }


@json_of.register(ValidatedNetwork)
def validated_network_json(result: ValidatedNetwork) -> "manifests.ValidatedNetworkJson":
    """A network that is sound."""
    nodes: dict[str, manifests.ValidatedNodeJson] = {
        name: {**validated_json(pod), "cluster": result.clusters[name]} for name, pod in result.nodes.items()
    }
    return {"network": result.network, "nodes": nodes, "members": result.members, "valid": True}


def sound_json(
    result: ValidateResult | ValidatedNetwork,
) -> "manifests.ValidateJson | manifests.ValidatedNetworkJson":
    """Whichever of the two it is."""
    return validated_json(result) if isinstance(result, ValidateResult) else validated_network_json(result)


@json_of.register(DraftResult)
def draft_json(result: DraftResult) -> "manifests.DraftJson":
    """A manifest that was made."""
    return {
        "pod": result.pod,
        "manifest": result.manifest,
        "file": result.file,
        "notes": list(result.notes),
    }
