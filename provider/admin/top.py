# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-provider top`: what the daemon does now, again and again, on a terminal."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trustedpods.provider.admin.views import BusyPod, GasTodayView, Overview


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer of the daemon, and when it came (any clock in seconds that only goes forward)."""

    at: float
    overview: Overview


@dataclass(frozen=True, slots=True)
class RatedPod:
    """A pod and its requests per second; None where that cannot be said."""

    pod: BusyPod
    rate: float | None


def rates(before: Reading | None, now: Reading) -> list[RatedPod]:
    """The pods of *now* with requests per second since *before*, the busiest first.

    None where it cannot be said: a first reading, a new pod, counters of a restarted proxy.
    """
    earlier = {} if before is None else {pod.channel: pod for pod in before.overview.pods}
    seconds = 0.0 if before is None else now.at - before.at
    rows = [RatedPod(pod, _rate(earlier.get(pod.channel), pod, seconds)) for pod in now.overview.pods]
    return sorted(rows, key=_activity, reverse=True)


def _rate(old: BusyPod | None, pod: BusyPod, seconds: float) -> float | None:
    if old is None or seconds <= 0 or old.requests is None or pod.requests is None:
        return None
    passed = pod.requests - old.requests
    return None if passed < 0 or old.proxy != pod.proxy else passed / seconds


def _activity(row: RatedPod) -> tuple[float, ...]:
    return row.pod.in_flight, row.rate or 0.0, row.pod.replicas


def screen(before: Reading | None, now: Reading) -> Group:
    """One screen: a line about the daemon, and a line for each pod."""
    table = Table(box=None, pad_edge=False, expand=True)
    for name in ("POD", "PHASE", "SCALE"):
        table.add_column(name, no_wrap=True)
    for name in ("RUN", "READY", "FLIGHT", "REQ/S", "RUNWAY"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("WHY", overflow="ellipsis", no_wrap=True)
    for row in rates(before, now):
        pod = row.pod
        table.add_row(
            pod.label,
            pod.phase,
            pod.scale or "-",
            *(str(number) for number in (pod.replicas, pod.ready, pod.in_flight)),
            "-" if row.rate is None else f"{row.rate:.1f}",
            _span(pod.runway_seconds),
            Text(pod.why or ""),
        )
    return Group(Text(_headline(now.overview)), Text(), table)


def _headline(overview: Overview) -> str:
    gas = overview.gas_wei
    spool = overview.spool_bytes * 100 // overview.spool_quota_bytes
    return (
        f"{len(overview.pods)} pods, {overview.replicas} replicas, "
        f"{overview.conversations} talking, {overview.free_slots} slots free, spool {spool} %, "
        f"gas {'unknown' if gas < 0 else f'{gas / 10**18:.4f}'}"
        f"{_held_back(overview.gas_today)}"
        f"{_certificate(overview.certificate_days)}"
    )


def _held_back(today: GasTodayView | None) -> str:
    """Nothing where nothing waits."""
    waiting = sum(today.waiting.values()) if today else 0
    return f", {waiting} WAIT for tomorrow's gas" if waiting else ""


def _certificate(days: int | None) -> str:
    """Nothing without https."""
    if days is None:
        return ""
    return ", certificate ENDED" if days < 0 else f", certificate {days} days"


def _span(seconds: int | None) -> str:
    """A length of time in its largest unit."""
    if seconds is None:
        return "-"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def watch(
    ask: Callable[[], Overview], clock: Callable[[], float], wait: Callable[[float], None], every_s: float
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
