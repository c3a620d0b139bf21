# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider top`: what the daemon does now, again and again, on a terminal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

Answer = Mapping[str, Any]

_BUSIEST_FIRST = ("inFlight", "rate", "replicas")


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer of the daemon, and when it came (any clock in seconds that only goes forward)."""

    at: float
    overview: Answer


def rates(before: Reading | None, now: Reading) -> list[dict[str, Any]]:
    """The pods of *now* with requests per second since *before*, the busiest first.

    None where it cannot be said: a first reading, a new pod, counters of a restarted proxy.
    """
    earlier = {} if before is None else {pod["channel"]: pod for pod in before.overview["pods"]}
    rows = []
    for pod in now.overview["pods"]:
        old = earlier.get(pod["channel"])
        rows.append({**pod, "rate": _rate(old, pod, 0.0 if before is None else now.at - before.at)})
    return sorted(rows, key=_activity, reverse=True)


def _rate(old: Answer | None, pod: Answer, seconds: float) -> float | None:
    if old is None or seconds <= 0 or old["requests"] is None or pod["requests"] is None:
        return None
    passed = pod["requests"] - old["requests"]
    return None if passed < 0 or old["proxy"] != pod["proxy"] else passed / seconds


def _activity(row: Answer) -> tuple[float, ...]:
    return tuple(float(row[name] or 0) for name in _BUSIEST_FIRST)


def screen(before: Reading | None, now: Reading) -> Group:
    """One screen: a line about the daemon, and a line for each pod."""
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("POD", "PHASE", "SCALE"):
        table.add_column(name, no_wrap=True)
    for name in ("RUN", "READY", "FLIGHT", "REQ/S", "RUNWAY"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("WHY", overflow="ellipsis", no_wrap=True)
    for row in rates(before, now):
        table.add_row(
            row["label"],
            row["phase"],
            _shown(row["scale"]),
            *(_shown(row[name]) for name in ("replicas", "ready", "inFlight")),
            "-" if row["rate"] is None else f"{row['rate']:.1f}",
            _span(row["runwaySeconds"]),
            row["why"] or "",
        )
    return Group(Text(_headline(now.overview)), Text(), table)


def _headline(overview: Answer) -> str:
    gas = overview["gasWei"]
    spool = overview["spoolBytes"] * 100 // overview["spoolQuotaBytes"]
    return (
        f"{len(overview['pods'])} pods, {overview['replicas']} replicas, "
        f"{overview['conversations']} talking, {overview['freeSlots']} slots free, spool {spool} %, "
        f"gas {'unknown' if gas < 0 else f'{gas / 10**18:.4f}'}"
    )


def _shown(value: object) -> str:
    return "-" if value is None else str(value)


def _span(seconds: int | None) -> str:
    """A length of time in its largest unit."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def watch(
    ask: Callable[[], Answer], clock: Callable[[], float], wait: Callable[[float], None], every_s: float
) -> None:
    """Draw until interrupted; without a terminal, once."""
    console = Console()
    now = Reading(clock(), ask())
    if not console.is_terminal:
        console.width = 200
        console.print(screen(None, now))
        return
    with Live(screen(None, now), console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                wait(every_s)
                before, now = now, Reading(clock(), ask())
                live.update(screen(before, now), refresh=True)
        except KeyboardInterrupt:
            return
