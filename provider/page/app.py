# SPDX-License-Identifier: Apache-2.0
"""The operator's page over HTTP: which address shows what. Every answer is a GET's, and changes nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from trustedpods.protocol.local_page.access import PageAccess
from trustedpods.protocol.local_page.guard import guarded_app
from trustedpods.protocol.local_page.readings import KeptReading, Readings
from trustedpods.protocol.local_page.rendering import PageLink, PageTemplates, reading_view
from trustedpods.provider.admin.reports.health_views import Health
from trustedpods.provider.admin.views import MAX_PODS_TOLD
from trustedpods.provider.page.capacity_view import capacity_view
from trustedpods.provider.page.earnings_view import DAYS, RECENT_DAYS, earnings_view
from trustedpods.provider.page.now_view import now_view
from trustedpods.provider.page.pods_view import PAGE, pods_view
from trustedpods.provider.page.reader import OperatorReader
from trustedpods.provider.page.wakes_view import wakes_view

T = TypeVar("T")

TEMPLATES = PageTemplates(
    Path(__file__).parent / "templates",
    "trustedpods-provider page",
    (
        PageLink("now", "/", "Now"),
        PageLink("earnings", "/earnings", "Earnings"),
        PageLink("pods", "/pods", "Pods"),
        PageLink("capacity", "/capacity", "Capacity"),
        PageLink("wakes", "/wakes", "Wakes"),
    ),
)

EVIDENCE_FRESH_S = 300.0
"""The hardware makes each report anew, and what lies beside it ends in days."""

MONEY_FRESH_S = 60.0
"""A claim takes minutes."""

EARLIER_FRESH_S = 6 * 3600.0
"""Days that are over hardly change, and a thousand pods' claims of many days take a while to add up."""

OFFERS_FRESH_S = 60.0
"""What a cluster has changes when somebody works on it."""

DAY_S = 86_400


def make_app(
    access: PageAccess, reader: OperatorReader, readings: Readings, clock: Callable[[], float]
) -> ASGIApp:
    """All pages below the folder of *access*; *clock* is Unix time."""
    pages = _Pages(access, reader, readings, clock)
    shown = {
        "/": pages.now,
        "/earnings": pages.earnings,
        "/pods": pages.pods,
        "/capacity": pages.capacity,
        "/wakes": pages.wakes,
    }
    return guarded_app(access, TEMPLATES, shown)


class _Pages:
    """One method for each address."""

    def __init__(
        self, access: PageAccess, reader: OperatorReader, readings: Readings, clock: Callable[[], float]
    ) -> None:
        self._access = access
        self._reader = reader
        self._readings = readings
        self._clock = clock

    async def _health(self) -> KeptReading[Health]:
        return await self._readings.look("health", self._reader.health)

    async def now(self, request: Request) -> Response:
        """Alerts, and how every part fares."""
        reading = await self._health()
        evidence = await self._readings.look("evidence", self._reader.evidence, fresh_s=EVIDENCE_FRESH_S)
        if reading.error is not None or evidence.running:  # a daemon that is or was away proves nothing
            evidence = KeptReading(evidence.value)
        view = None if reading.value is None else now_view(reading.value, evidence)
        return self._shown("now", "Now", "How the daemon fares", reading, view)

    async def earnings(self, request: Request) -> Response:
        """Earnings and gas by day: the last ones often, those before seldom."""
        now = int(self._clock())
        reading = await self._readings.look(
            "earnings",
            lambda: self._reader.earnings(now - RECENT_DAYS * DAY_S),
            fresh_s=MONEY_FRESH_S,
        )
        earlier = await self._readings.look(
            "earlier", lambda: self._reader.earnings(now - DAYS * DAY_S), fresh_s=EARLIER_FRESH_S
        )
        view = None if reading.value is None else earnings_view(reading.value, earlier.value, now)
        return self._shown("earnings", "Earnings", "What was earned", reading, view)

    async def pods(self, request: Request) -> Response:
        """A hundred pods, those in trouble first."""
        skip = _whole(request.query_params.get("from", ""))
        reading = await self._readings.look(f"pods {skip}", lambda: self._reader.pods(skip, PAGE))
        view = None if reading.value is None else pods_view(reading.value, skip)
        return self._shown("pods", "Pods", "The list of pods", reading, view)

    async def capacity(self, request: Request) -> Response:
        """Room, overcommit, traffic, and what is advertised."""
        reading = await self._health()
        offers = await self._readings.look("offers", self._reader.offers, fresh_s=OFFERS_FRESH_S)
        view = None if reading.value is None else capacity_view(reading.value, offers.value)
        return self._shown("capacity", "Capacity", "What can be sold", reading, view)

    async def wakes(self, request: Request) -> Response:
        """Cold starts, and pods that do not start."""
        reading = await self._health()
        view = None if reading.value is None else wakes_view(reading.value)
        return self._shown("wakes", "Wakes", "How pods wake", reading, view)

    def _shown(self, here: str, title: str, subject: str, reading: KeptReading[T], view: object) -> Response:
        about = reading_view(subject, reading)
        return HTMLResponse(TEMPLATES.page(self._access.folder, here, title, about, view))


def _whole(text: str) -> int:
    """How many pods are passed over; none for what is no such number."""
    return min(int(text), MAX_PODS_TOLD) if text.isascii() and text.isdigit() and len(text) < 10 else 0
