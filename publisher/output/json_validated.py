# SPDX-License-Identifier: Apache-2.0
"""JSON of `validate`, which loads no other form: it is to be as quick as its text."""

from dataclasses import asdict

from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.results.validated import ValidateResult


@json_of.register(ValidateResult)
def validated_json(result: ValidateResult) -> JsonObject:
    """A manifest that is sound."""
    return asdict(result) | {"images": dict(result.images), "valid": True}
