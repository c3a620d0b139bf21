# SPDX-License-Identifier: Apache-2.0
"""What can be sold: the nodes' room, what pods have of it, and what is advertised. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from trustedpods.protocol.local_page.texts import MAX_WORD, clean
from trustedpods.provider.admin.reports.health_views import CapacityView, Health
from trustedpods.provider.admin.reports.views import Offers
from trustedpods.provider.page.texts import ShownFact, cores, mib, share

MAX_OFFERS = 100
"""Rows that are shown; `trustedpods-provider capability list` has all."""


@dataclass(frozen=True, slots=True)
class RoomRow:
    """One resource: what there is, and what is had of it."""

    name: str
    offered: str
    running: str
    asleep: str
    kept: str
    used: str


@dataclass(frozen=True, slots=True)
class OfferRow:
    """One capability as texts."""

    kind: str
    name: str
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class RoomPage:
    """Rows of resources, facts, and capabilities; `trouble` where the cluster did not answer."""

    trouble: str
    rows: tuple[RoomRow, ...]
    facts: tuple[ShownFact, ...]
    offers: tuple[OfferRow, ...]
    hidden: int
    registry: str


def capacity_view(health: Health, offers: Offers | None) -> RoomPage:
    """Texts of both answers; without *offers* while nothing was told of them."""
    told = [] if offers is None else offers.offers
    return RoomPage(
        trouble="" if health.trouble is None else clean(health.trouble),
        rows=() if health.capacity is None else _rows(health.capacity),
        facts=_facts(health),
        offers=tuple(
            OfferRow(clean(one.kind, MAX_WORD), clean(one.name, MAX_WORD), one.state, clean(one.why))
            for one in told[:MAX_OFFERS]
        ),
        hidden=max(0, len(told) - MAX_OFFERS),
        registry="" if offers is None else clean(offers.row),
    )


def _rows(found: CapacityView) -> tuple[RoomRow, ...]:
    rooms = found.offered, found.running, found.asleep, found.kept
    return (
        _row("CPU", cores, *(room.cpu_milli for room in rooms)),
        _row("Memory", mib, *(room.memory_mib for room in rooms)),
        _row("Scratch space", mib, *(room.storage_mib for room in rooms)),
    )


def _row(name: str, text: Callable[[int], str], *sizes: int) -> RoomRow:
    offered, running, asleep, kept = sizes
    used = share(running + kept, offered)
    return RoomRow(name, text(offered), text(running), text(asleep), text(kept), used)


def _facts(health: Health) -> tuple[ShownFact, ...]:
    found = health.capacity
    return (
        *(() if found is None else (ShownFact("Nodes", str(found.nodes)),)),
        *(() if found is None else (ShownFact("Overcommit", f"{found.overcommit:g}"),)),
        ShownFact("Slots of the facade that nobody has", str(health.free_slots)),
        ShownFact("Requests now", str(health.traffic.in_flight)),
        ShownFact("Requests so far", str(health.traffic.requests)),
        ShownFact("Traffic so far, in and out", mib(health.traffic.kib // 1024)),
    )
