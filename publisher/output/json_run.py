# SPDX-License-Identifier: Apache-2.0
"""One run of a verb as one object: its result, and how long every step took."""

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.publisher.journal import STEP_NUMBERS, Journal, Step
from trustedpods.publisher.output import json_market, json_money, json_pods
from trustedpods.publisher.output.json_of import JsonObject, json_of
from trustedpods.publisher.output.json_parts import error_json
from trustedpods.publisher.results.errors import ErrorReport

FORMS = (json_pods, json_money, json_market)
"""Their import is what makes `json_of` know every result."""


def run_json(result: object, journal: Journal, error: TrustedPodsError | None = None) -> JsonObject:
    """What `-o json` prints; *result* is a verb's, or what was known when it raised *error*."""
    steps = sorted(journal.steps, key=lambda step: step.began)
    tree = json_of(result) | {
        "seconds": round(journal.elapsed, 3),
        "steps": [_step(step) for step in steps],
        "events": list(journal.events),
    }
    return tree if error is None else tree | {"error": error_json(ErrorReport.of(error))}


def _step(step: Step) -> JsonObject:
    return {
        "step": STEP_NUMBERS.get(step.name),
        "name": step.name,
        "began": round(step.began, 3),
        "seconds": round(step.seconds, 3),
        **step.facts,
    }
