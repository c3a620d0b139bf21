# SPDX-License-Identifier: Apache-2.0
"""One run of a verb as one object: its result, and how long every step took."""

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.publisher.journal import STEP_NUMBERS, Journal, Step
from trustedpods.publisher.output.answers.published import schema_id
from trustedpods.publisher.output.json_error import error_json
from trustedpods.publisher.output.json_of import Answer, JsonObject, as_facts
from trustedpods.publisher.results.errors import ErrorReport


def run_json(
    result: Answer, journal: Journal, error: TrustedPodsError | None = None, verb: str = ""
) -> JsonObject:
    """What `-o json` prints; *result* is a verb's, or what was known when it raised *error*.

    Where the answers of *verb* have a schema, the object names it.
    """
    steps = sorted(journal.steps, key=lambda step: step.began)
    name = schema_id(verb)
    named: JsonObject = {} if name is None else {"schema": name}
    told: JsonObject = {
        "seconds": round(journal.elapsed, 3),
        "steps": [_step(step) for step in steps],
        "events": list(journal.events),
    }
    assert not result.keys() & (named | told).keys(), "a result's own would be hidden"
    tree = named | as_facts(result) | told
    return tree if error is None else tree | {"error": error_json(ErrorReport.of(error))}


def _step(step: Step) -> JsonObject:
    return {
        "step": STEP_NUMBERS.get(step.name),
        "name": step.name,
        "began": round(step.began, 3),
        "seconds": round(step.seconds, 3),
        **step.facts,
    }
