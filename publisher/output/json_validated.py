# SPDX-License-Identifier: Apache-2.0
"""JSON of `validate`, which loads no other form: it is to be as quick as its text."""

from dataclasses import asdict

from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.results.validated import DraftResult, ValidatedNetwork, ValidateResult


@json_of.register(ValidateResult)
def validated_json(result: ValidateResult) -> JsonObject:
    """A manifest that is sound."""
    return asdict(result) | {"images": dict(result.images), "warnings": list(result.warnings), "valid": True}


@json_of.register(ValidatedNetwork)
def validated_network_json(result: ValidatedNetwork) -> JsonObject:
    """A network that is sound."""
    nodes = {
        name: validated_json(pod) | {"cluster": result.clusters[name]} for name, pod in result.nodes.items()
    }
    return {"network": result.network, "nodes": nodes, "members": result.members, "valid": True}


def sound_json(result: ValidateResult | ValidatedNetwork) -> JsonObject:
    """Whichever of the two it is."""
    return validated_json(result) if isinstance(result, ValidateResult) else validated_network_json(result)


@json_of.register(DraftResult)
def draft_json(result: DraftResult) -> JsonObject:
    """A manifest that was made."""
    return asdict(result) | {"notes": list(result.notes)}
