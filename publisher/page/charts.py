# SPDX-License-Identifier: Apache-2.0
"""What a pod used and cost over its life, as bars. Pure: numbers in, places of rectangles out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trustedpods.protocol.local_page.bars import MAX_BARS, Chart, bars_of
from trustedpods.protocol.local_page.texts import when
from trustedpods.protocol.units import Usage
from trustedpods.publisher.core.bill import Line
from trustedpods.publisher.core.money import DAY_S, HOUR_S, Token
from trustedpods.publisher.page.texts import amount

STEPS_S = (60, 600, HOUR_S, 6 * HOUR_S, DAY_S, 7 * DAY_S, 28 * DAY_S)
"""What one bar may stand for, in seconds."""

MIB_KIB = 1024


@dataclass(frozen=True, slots=True)
class Span:
    """What was used between two times (Unix seconds), and what it cost in base units.

    `metered_s` are the seconds of it that signed periods cover.
    """

    begins: int
    ends: int
    metered_s: int
    usage: Usage
    units: int

    def replicas(self, cpu_milli: int) -> float | None:
        """How many replicas of this size ran, on average; None where the size is not known."""
        held = cpu_milli * self.metered_s
        return self.usage.cpu_core_ms / held if held > 0 else None


@dataclass(frozen=True, slots=True)
class SpanRow:
    """The same numbers as a row of a table."""

    begins: str
    replicas: str
    out: str
    into: str
    cost: str


@dataclass(frozen=True, slots=True)
class Charts:
    """All charts of a pod; `step` says what one bar stands for."""

    step: str
    charts: tuple[Chart, ...]
    rows: tuple[SpanRow, ...]


def spans_of(lines: Sequence[Line]) -> tuple[Span, ...]:
    """The periods of a bill, put together so that they make at most `MAX_BARS`, without the gaps' bars."""
    if not lines:
        return ()
    longest = max(line.up_to - line.from_ for line in lines)
    begins = min(line.from_ for line in lines)
    life = max(line.up_to for line in lines) - begins
    fitting = [step for step in STEPS_S if step >= longest and step * MAX_BARS >= life + step]
    step = fitting[0] if fitting else max(1, longest, -(-life // (MAX_BARS - 1)))
    spans: dict[int, Span] = {}
    for line in lines:
        at = line.from_ - line.from_ % step
        known = spans.get(at, Span(at, at + step, 0, Usage(), 0))
        metered_s = known.metered_s + max(0, line.up_to - line.from_)
        spans[at] = Span(at, at + step, metered_s, known.usage + line.usage, known.units + line.amount)
    return tuple(spans[at] for at in sorted(spans))


def charts_of(lines: Sequence[Line], cpu_milli: int, token: Token) -> Charts | None:
    """Charts of traffic, replicas and cost; None before the first signed period.

    *cpu_milli* is what one replica holds now: replicas of earlier versions count by it.
    """
    spans = spans_of(lines)
    if not spans:
        return None
    replicas = [span.replicas(cpu_milli) for span in spans]
    return Charts(
        step=_step_text(spans[0].ends - spans[0].begins),
        charts=(
            _chart("Traffic, in and out", spans, [_traffic(span) for span in spans], _mib),
            _chart(
                "Replicas, on average", spans, [one or 0.0 for one in replicas], lambda most: f"{most:.3g}"
            ),
            _chart("Cost", spans, [span.units for span in spans], lambda most: amount(int(most), token)),
        ),
        rows=tuple(
            SpanRow(
                begins=when(span.begins),
                replicas="-" if average is None else f"{average:.3g}",
                out=_mib(span.usage.egress_kib),
                into=_mib(span.usage.ingress_kib),
                cost=amount(span.units, token),
            )
            for span, average in zip(spans, replicas, strict=True)
        ),
    )


def _traffic(span: Span) -> int:
    return span.usage.egress_kib + span.usage.ingress_kib


def _chart(
    heading: str, spans: Sequence[Span], values: Sequence[float], text: Callable[[float], str]
) -> Chart:
    """Bars at the places of their spans, the highest as high as the chart."""
    step = spans[0].ends - spans[0].begins
    last = spans[-1].begins
    placed = [((last - span.begins) // step, value) for span, value in zip(spans, values, strict=True)]
    return Chart(heading, text(max(values)), bars_of(placed))


def _mib(kib: float) -> str:
    return f"{kib / MIB_KIB:.4g} MiB"


def _step_text(seconds: int) -> str:
    for size, one, name in ((DAY_S, "day", "days"), (HOUR_S, "hour", "hours"), (60, "minute", "minutes")):
        if seconds % size == 0:
            count = seconds // size
            return f"{count} {one if count == 1 else name}"
    return f"{seconds} s"
