# SPDX-License-Identifier: Apache-2.0
"""A warning that would come with every look: told once, again at growing intervals, anew when it changes."""

import logging
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import trio

FIRST_PAUSE_S = 60.0
LONGEST_PAUSE_S = 3600.0
"""The pause doubles from the first to this: whoever reads the log an hour later still finds what is wrong."""


@dataclass(frozen=True, slots=True)
class _Told:
    text: str
    next_at: float
    pause_s: float


class SeldomWarnings:
    """Warnings by subject. What is well again is told anew the next time it is not."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: dict[Hashable, _Told] = {}

    def warn(self, subject: Hashable, text: str) -> None:
        """Log *text*, unless the same was told of *subject* not long ago."""
        now, told = trio.current_time(), self._told.get(subject)
        if told is not None and told.text == text and now < told.next_at:
            return
        again = told is not None and told.text == text
        pause = min(LONGEST_PAUSE_S, told.pause_s * 2) if told is not None and again else FIRST_PAUSE_S
        self._told[subject] = _Told(text, now + pause, pause)
        self._log.warning("%s%s", text, " (still)" if again else "")

    def well(self, subject: Hashable) -> None:
        """Nothing is wrong with *subject* now."""
        self._told.pop(subject, None)

    def keep_only(self, subjects: Iterable[Hashable]) -> None:
        """Of all other subjects nothing is kept."""
        if self._told:
            kept = self._told.keys() & set(subjects)
            self._told = {subject: told for subject, told in self._told.items() if subject in kept}
