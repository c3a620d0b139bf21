# SPDX-License-Identifier: Apache-2.0
"""What a verb does, step by step: shown to a person as it happens, kept for programs.

It narrates and holds no result: what came out is what the verb returns (`results`). The names of steps
are stable, with their numbers in the protocol (docs/cli.md lists them).
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

Fact: TypeAlias = "str | int | float | bool | Sequence[Fact] | Mapping[str, object] | None"
"""A JSON value that is told beside a step or an event; nothing in the client reads it back.

Of an object only that its keys are texts: some are forms, whose fields have types of their own.
"""

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
    facts: dict[str, Fact] = field(default_factory=dict)


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
    """Steps and events of one run of a verb."""

    def __init__(self, show: Show) -> None:
        self.show = show
        self.steps: list[Step] = []
        self.events: list[dict[str, Fact]] = []
        self.if_interrupted: str | None = None
        """What goes on without us, to be said after Ctrl-C."""
        self.while_waiting: Callable[[], object] | None = None
        """What is wanted at the end, left for a time in which the verb waits for others: some 50 ms."""
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def waits(self) -> None:
        """The verb has nothing to do itself from here: what was left for such a time is done, once."""
        work, self.while_waiting = self.while_waiting, None
        if work is not None:
            work()

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step; steps may overlap. It is kept also when it fails."""
        step = Step(name, self.elapsed)
        self.steps.append(step)
        try:
            yield step
        finally:
            step.seconds = self.elapsed - step.began

    def event(self, name: str, text: str, **facts: Fact) -> None:
        """Something that belongs to no step of ours alone: shown, and kept with its time."""
        self.events.append({"at": round(self.elapsed, 3), "event": name, "text": text, **facts})
        self.show.line(text)
