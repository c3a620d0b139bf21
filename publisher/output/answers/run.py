# SPDX-License-Identifier: Apache-2.0
"""What every answer has beside a verb's own: how long it took, and what was said."""

from typing import NotRequired, TypedDict

from trustedpods.publisher.output.answers.parts import ErrorJson
from trustedpods.publisher.output.answers.words import Took


class StepJson(TypedDict):
    """One step, and facts of its own beside these fields. `step` is its number in the protocol, if any."""

    step: int | None
    name: str
    began: Took
    seconds: Took


class EventJson(TypedDict):
    """Something that was said, `at` so many seconds after the start, with facts of its own beside it."""

    at: Took
    event: str
    text: str


class RunJson(TypedDict):
    """How long it took, its steps, and what was said. `schema` names what all of it is held to."""

    schema: NotRequired[str]
    seconds: Took
    steps: list[StepJson]
    events: list[EventJson]


class FailedJson(TypedDict):
    """After a failure, beside whatever was known by then."""

    error: ErrorJson
