# SPDX-License-Identifier: Apache-2.0
"""What a verb does, step by step: shown to a person as it happens, kept for programs.

The names of steps are stable; `number` is the step's place in the protocol (docs/cli.md lists
them), so that a demonstration can print one table from the final object.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from trustedpods.protocol.errors import TrustedPodsError

STEP_NUMBERS = {
    "start": 0,
    "manifest": 1,
    "list": 2,
    "select": 3,
    "channel": 4,
    "send": 5,
    "create": 6,
    "confirm": 7,
}
"""Steps of a deploy, by name, with their numbers in the protocol."""


class Show(Protocol):
    """Where a person follows along."""

    def line(self, text: str) -> None:
        """Something happened."""

    def warning(self, text: str) -> None:
        """Something to know of, though it goes on."""

    def progress(self, name: str, done: int, total: int) -> None:
        """So many of so many bytes of *name*."""


@dataclass(slots=True)
class Step:
    """One step: its name, when it began (seconds after the first), how long it took, its facts."""

    name: str
    began: float
    seconds: float = 0.0
    facts: dict[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """For `-o json`."""
        return {
            "step": STEP_NUMBERS.get(self.name),
            "name": self.name,
            "began": round(self.began, 3),
            "seconds": round(self.seconds, 3),
            **self.facts,
        }


class Meter:
    """Adds up what a transfer reports, and shows it."""

    def __init__(self, name: str, total: int, show: Show) -> None:
        self._name = name
        self._total = total
        self._done = 0
        self._show = show

    def add(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        self._show.progress(self._name, self._done, self._total)


class Journal:
    """Steps and events of one run of a verb; `result` is filled as facts become known."""

    def __init__(self, show: Show) -> None:
        self.show = show
        self.steps: list[Step] = []
        self.events: list[dict[str, object]] = []
        self.result: dict[str, object] = {}
        self.if_interrupted: str | None = None
        """What goes on without us, to be said after Ctrl-C."""
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step; steps may overlap. It is kept also when it fails."""
        step = Step(name, self.elapsed)
        self.steps.append(step)
        try:
            yield step
        finally:
            step.seconds = self.elapsed - step.began

    def event(self, name: str, text: str, **facts: object) -> None:
        """Something that belongs to no step of ours alone: shown, and kept with its time."""
        self.events.append({"at": round(self.elapsed, 3), "event": name, "text": text, **facts})
        self.show.line(text)

    def as_json(self) -> dict[str, object]:
        """What came out, with steps and events, for `-o json`."""
        steps = sorted(self.steps, key=lambda step: step.began)
        timed = {"seconds": round(self.elapsed, 3), "steps": [step.as_json() for step in steps]}
        return self.result | timed | {"events": self.events}


def error_facts(error: TrustedPodsError) -> dict[str, object]:
    """An error for `-o json`."""
    facts = {
        "code": error.code,
        "exit": int(error.exit_code),
        "what": error.what,
        "where": error.where,
        "rule": error.rule,
        "hint": error.hint,
    }
    return {name: value for name, value in facts.items() if value is not None}
