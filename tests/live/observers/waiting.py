# SPDX-License-Identifier: Apache-2.0
"""Waiting for facts: as soon as one holds, and never longer than a limit."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

LOOK_EVERY_S = 0.1
PATIENCE_S = 120.0
"""How long anything may take that is no promise itself: several times what it takes a busy, slow machine."""


def until(what: str, look: Callable[[], T], limit_s: float = PATIENCE_S) -> T:
    """What *look* returns as soon as that is true; fails with *what* and the last answer."""
    deadline = monotonic() + limit_s
    while not (found := look()):
        assert monotonic() < deadline, f"not within {limit_s} s: {what}; the last look showed {found!r}"
        sleep(LOOK_EVERY_S)
    return found
