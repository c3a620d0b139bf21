# SPDX-License-Identifier: Apache-2.0
"""Charts of bars that a template draws as SVG. Pure: numbers in, places of rectangles out."""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_BARS = 48
"""More are not told apart at 320 px."""

WIDTH, HEIGHT = 480, 96
"""Of a chart, in units of its own: it is drawn as wide as the page."""

BAR, GAP = 10, 2
"""Of them a bar has these: it, and the space behind it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle in a chart, from its top left corner."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart: its heading, what its highest bar stands for, and its bars."""

    heading: str
    most: str
    bars: tuple[Bar, ...]


def bars_of(values: Iterable[tuple[int, float]]) -> tuple[Bar, ...]:
    """Bars of *values*, each behind how many places it lies before the last one; the highest fills the chart.

    What lies `MAX_BARS` places before the last one or more is left out, and so is nothing.
    """
    placed = [(MAX_BARS - 1 - back, value) for back, value in values]
    most = max((value for _, value in placed), default=0)
    bars = []
    for place, value in placed:
        height = int(HEIGHT * value / most) if most > 0 else 0
        height = max(1, height) if value > 0 else 0
        if place >= 0 and height:
            bars.append(Bar(place * BAR, HEIGHT - height, height))
    return tuple(bars)
