# SPDX-License-Identifier: Apache-2.0
"""How long first requests of sleeping pods waited, and which pods do not start, with the reason. Pure."""

from dataclasses import dataclass
from itertools import pairwise

from trustedpods.protocol.local_page.bars import Chart, bars_of
from trustedpods.protocol.local_page.texts import MAX_WORD, clean
from trustedpods.provider.admin.reports.health_views import Health, SlowStarts
from trustedpods.provider.page.texts import ShownFact


@dataclass(frozen=True, slots=True)
class WaitRow:
    """How many first requests waited for so long."""

    waited: str
    count: int


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A pod that does not start."""

    label: str
    failures: int
    why: str


@dataclass(frozen=True, slots=True)
class WakesView:
    """Facts, a chart of waits with its rows, and pods that do not start; `hidden` more of them."""

    facts: tuple[ShownFact, ...]
    charts: tuple[Chart, ...]
    rows: tuple[WaitRow, ...]
    failures: tuple[FailureRow, ...]
    hidden: int


def wakes_view(health: Health) -> WakesView:
    """Texts of the wakes since the daemon began."""
    rows = _rows(health.cold_starts)
    most = max((row.count for row in rows), default=0)
    bars = bars_of([(len(rows) - 1 - place, row.count) for place, row in enumerate(rows)])
    return WakesView(
        facts=_facts(health),
        charts=(Chart("Cold starts by how long they took", str(most), bars),) if most else (),
        rows=rows,
        failures=tuple(
            FailureRow(clean(one.label, MAX_WORD), one.failures, clean(one.why))
            for one in health.wake_failures
        ),
        hidden=max(0, health.wakes_failing - len(health.wake_failures)),
    )


def _facts(health: Health) -> tuple[ShownFact, ...]:
    starts = health.cold_starts
    return (
        ShownFact("Cold starts", str(starts.count)),
        ShownFact("On average", f"{starts.seconds / starts.count:.2f} s" if starts.count else "-"),
        ShownFact("Half took at most", _within(starts, 0.5)),
        ShownFact("Nine of ten took at most", _within(starts, 0.9)),
        ShownFact("Wakes served", str(health.wakes_served)),
        ShownFact("Wakes refused", str(health.wakes_refused), health.wakes_refused > 0),
        ShownFact("Pods whose first request waits", str(health.waiting)),
        ShownFact("Pods that do not start", str(health.wakes_failing), health.wakes_failing > 0),
    )


def _within(starts: SlowStarts, part: float) -> str:
    """The first bound within which so large a part of them came."""
    if not starts.count:
        return "-"
    longest = [bound for bound, count in starts.at_most if count >= part * starts.count]
    return f"{longest[0]:g} s" if longest else f"more than {starts.at_most[-1][0]:g} s"


def _rows(starts: SlowStarts) -> tuple[WaitRow, ...]:
    """Counts between one bound and the next, and behind the last."""
    if not starts.at_most:
        return ()
    (first, least), *_ = starts.at_most
    last, within = starts.at_most[-1]
    between = [
        WaitRow(f"{low:g} to {high:g} s", count - before)
        for (low, before), (high, count) in pairwise(starts.at_most)
    ]
    return (
        WaitRow(f"up to {first:g} s", least),
        *between,
        WaitRow(f"more than {last:g} s", starts.count - within),
    )
