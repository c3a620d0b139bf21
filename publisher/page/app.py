# SPDX-License-Identifier: Apache-2.0
"""The page over HTTP: which address shows what, to whom. Every answer is a GET's, and changes nothing."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import trio
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp

from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.local_page.access import PageAccess
from trustedpods.protocol.local_page.guard import guarded_app
from trustedpods.protocol.local_page.readings import Readings
from trustedpods.protocol.local_page.rendering import PageLink, PageTemplates, reading_view
from trustedpods.protocol.local_page.texts import clean
from trustedpods.publisher.core.names import check_name
from trustedpods.publisher.page.market_view import market_view
from trustedpods.publisher.page.pod_view import pod_view
from trustedpods.publisher.page.pods_view import pods_view
from trustedpods.publisher.results.pods import ListResult
from trustedpods.publisher.results.providers import ListProgress, ProvidersResult
from trustedpods.publisher.results.watched import OverviewResult

TEMPLATES = PageTemplates(
    Path(__file__).parent / "templates",
    "trustedpods ui",
    (PageLink("pods", "/", "My pods"), PageLink("market", "/market", "Market")),
)

MARKET_FRESH_S = 60.0
"""A market is asked for proof as a whole, and its rows change in days."""

MARKET_WITHIN_S = 100.0
"""Then nobody is waited for any more. It is less than a reading may take, so that the others are shown."""

TAIL = 100
"""Lines of the log that are asked for."""


class Reader(Protocol):
    """What the page asks for, as `Client` has it."""

    async def providers(
        self, *, attest: bool = False, progress: ListProgress | None = None
    ) -> ProvidersResult:
        """The market, with what each provider proves; *progress* has what is known meanwhile."""

    async def list(self) -> ListResult:
        """All pods of the key."""

    async def overview(self, name: str, *, tail: int = 100) -> OverviewResult:
        """One pod, in one visit."""


def make_app(
    access: PageAccess, reader: Reader, readings: Readings, market_within_s: float = MARKET_WITHIN_S
) -> ASGIApp:
    """All pages below the folder of *access*."""
    pages = _Pages(access, reader, readings, market_within_s)
    shown = {"/": pages.pods, "/market": pages.market, "/pods/{name}": pages.pod}
    return guarded_app(access, TEMPLATES, shown)


class _Pages:
    """One method for each address."""

    def __init__(
        self, access: PageAccess, reader: Reader, readings: Readings, market_within_s: float
    ) -> None:
        self._access = access
        self._reader = reader
        self._readings = readings
        self._market_within_s = market_within_s
        self._listing = ListProgress()

    async def market(self, request: Request) -> Response:
        """Providers, each asked for proof; the first time, those that were heard so far."""
        reading = await self._readings.look("market", self._read_market, fresh_s=MARKET_FRESH_S)
        known = reading.value or self._listing.result()
        view = None if known is None else market_view(known, asking=reading.running and reading.value is None)
        about = reading_view("The market", reading)
        return HTMLResponse(TEMPLATES.page(self._access.folder, "market", "Market", about, view))

    async def _read_market(self) -> ProvidersResult:
        self._listing = listing = ListProgress()
        try:
            with trio.fail_after(self._market_within_s):
                return await self._reader.providers(attest=True, progress=listing)
        except trio.TooSlowError:
            found = listing.result()
            if found is None:
                text = f"no answer within {self._market_within_s:g} s"
                raise NetworkFailure(text, rule="timeout") from None
            return found

    async def pods(self, request: Request) -> Response:
        """All pods of the key."""
        reading = await self._readings.look("pods", self._reader.list)
        view = None if reading.value is None else pods_view(reading.value)
        about = reading_view("The list of your pods", reading)
        return HTMLResponse(TEMPLATES.page(self._access.folder, "pods", "My pods", about, view))

    async def pod(self, request: Request) -> Response:
        """One pod, by its name."""
        try:
            name = check_name(request.path_params["name"])
        except BadInput as error:
            text = clean(f"{error.what}: {error.hint}")
            return HTMLResponse(TEMPLATES.note("There is no such pod", text), 404)
        reading = await self._readings.look(f"pods/{name}", self._overview(name))
        view = None if reading.value is None else pod_view(reading.value)
        about = reading_view(f"The pod {name}", reading)
        return HTMLResponse(TEMPLATES.page(self._access.folder, "pod", name, about, view))

    def _overview(self, name: str) -> Callable[[], Awaitable[OverviewResult]]:
        return lambda: self._reader.overview(name, tail=TAIL)
