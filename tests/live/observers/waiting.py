# SPDX-License-Identifier: Apache-2.0
"""Waiting for facts: as soon as one holds, and never longer than a limit."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.1
LOOK_AT_LEAST_EVERY_S = 1.0
LOOKING_SHARE = 0.25
"""Of the time of a wait: a look may be a command, and the machine is there for what is waited for."""

PATIENCE_S = 120.0
"""How long anything may take that is no promise itself: several times what it takes a busy, slow machine."""


def until(what: str, look: Callable[[], T], limit_s: float = PATIENCE_S) -> T:
    """What *look* returns as soon as that is true; fails with *what* and the last answer."""
    began = monotonic()
    deadline = began + limit_s
    while not (found := look()):
        now = monotonic()
        assert now < deadline, f"not within {limit_s} s: {what}; the last look showed {found!r}"
        sleep(pause_after(now - began))
        began = monotonic()
    return found


def pause_after(look_s: float) -> float:
    """How long to wait after a look that took so long."""
    return min(LOOK_AT_LEAST_EVERY_S, max(LOOK_EVERY_S, look_s * (1 / LOOKING_SHARE - 1)))
