# SPDX-License-Identifier: Apache-2.0
"""Pods in numbers, those in trouble first; nothing of what is in them, no name that a tenant chose. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.local_page.texts import MAX_WORD, clean
from trustedpods.protocol.units import duration_text
from trustedpods.provider.admin.views import BusyPod, Overview
from trustedpods.provider.page.texts import cores, mib

PAGE = 100
"""Rows at once: with the longest reasons a page stays far below 300 KB."""


@dataclass(frozen=True, slots=True)
class OperatorPod:
    """A pod as texts; `why` says what keeps it from being as it was asked for."""

    label: str
    state: str
    size: str
    replicas: str
    requests: str
    runway: str
    exposed: str
    why: str


@dataclass(frozen=True, slots=True)
class OperatorPods:
    """Rows `first` to `last` of `total`, and where the ones before and behind begin (None: nowhere)."""

    rows: tuple[OperatorPod, ...]
    first: int
    last: int
    total: int
    before: int | None
    behind: int | None


def pods_view(found: Overview, skip: int) -> OperatorPods:
    """Texts of the pods that were told behind the first *skip*."""
    shown = found.pods[:PAGE]
    total = len(found.pods) if found.total is None else found.total
    end = skip + len(shown)
    return OperatorPods(
        rows=tuple(map(_row, shown)),
        first=skip + 1,
        last=end,
        total=total,
        before=max(0, skip - PAGE) if skip else None,
        behind=end if end < total else None,
    )


def _row(pod: BusyPod) -> OperatorPod:
    scale = f", {clean(pod.scale, MAX_WORD)}" if pod.scale else ""
    return OperatorPod(
        label=clean(pod.label, MAX_WORD),
        state=f"{pod.phase}{scale}",
        size=_size(pod),
        replicas=f"{pod.ready} of {pod.replicas}",
        requests=f"{pod.in_flight} now, {'-' if pod.requests is None else pod.requests} so far",
        runway="-" if pod.runway_seconds is None else duration_text(pod.runway_seconds),
        exposed=", ".join(sorted(clean(how, MAX_WORD) for how in pod.services.values())) or "-",
        why=clean(pod.why or ""),
    )


def _size(pod: BusyPod) -> str:
    size = pod.size
    if size is None:
        return "-"
    volumes = f", {mib(size.volume_mib)} of volumes" if size.volume_mib else ""
    return f"{cores(size.cpu_milli)}, {mib(size.memory_mib)}{volumes}"
