# SPDX-License-Identifier: Apache-2.0
"""The page over HTTP: which address shows what, to whom. Every answer is a GET's, and changes nothing."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.publisher.core.names import check_name
from trustedpods.publisher.page import rendering
from trustedpods.publisher.page.access import HEADERS, Access
from trustedpods.publisher.page.market_view import market_view
from trustedpods.publisher.page.pod_view import pod_view
from trustedpods.publisher.page.pods_view import pods_view
from trustedpods.publisher.page.readings import Readings
from trustedpods.publisher.page.texts import clean
from trustedpods.publisher.results.pods import ListResult
from trustedpods.publisher.results.providers import ListProgress, ProvidersResult
from trustedpods.publisher.results.watched import OverviewResult

MARKET_FRESH_S = 60.0
"""A market is asked for proof as a whole, and its rows change in days."""

MARKET_WITHIN_S = 100.0
"""Then nobody is waited for any more. It is less than a reading may take, so that the others are shown."""

TAIL = 100
"""Lines of the log that are asked for."""

NOT_YOURS = "This page needs the link that the command printed, in the browser that opened it first."
AGAIN = " Run `trustedpods ui` again for a new link."


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
    access: Access, reader: Reader, readings: Readings, market_within_s: float = MARKET_WITHIN_S
) -> ASGIApp:
    """All pages below the folder of *access*."""
    pages = _Pages(access, reader, readings, market_within_s)
    routes = [
        Route("/open/{word}", pages.open, methods=["GET"]),
        Route("/", pages.pods, methods=["GET"]),
        Route("/market", pages.market, methods=["GET"]),
        Route("/pods/{name}", pages.pod, methods=["GET"]),
        Route("/static/{name}", pages.static, methods=["GET"]),
    ]
    app = Starlette(
        routes=[Mount(access.folder, routes=routes)], exception_handlers={HTTPException: _refused}
    )
    return _Guard(app, access)


def _refused(request: Request, error: Exception) -> Response:
    """What starlette itself refuses: no such page, or another method than GET."""
    assert isinstance(error, HTTPException)
    shown = rendering.note("There is no such page", "My pods and Market are the pages that there are.")
    return HTMLResponse(shown, error.status_code, headers=error.headers)


class _Guard:
    """Lets in who may look, and sends the headers that hold for every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(Request(scope))(scope, receive, _with_headers(send))
        else:  # a WebSocket, which no page opens
            await send({"type": "websocket.close", "code": 1008})

    def _answer(self, request: Request) -> ASGIApp:
        hosts = request.headers.getlist("host")
        if not self._access.named_right(hosts):
            return HTMLResponse(rendering.note("Wrong name", NOT_YOURS), 421)
        opening = request.url.path.startswith(f"{self._access.folder}/open/")
        if not opening and not self._access.may_look(request.cookies):
            return HTMLResponse(rendering.note("Not allowed", NOT_YOURS + AGAIN), 403)
        return self._app


def _with_headers(send: Send) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending


class _Pages:
    """One method for each address."""

    def __init__(self, access: Access, reader: Reader, readings: Readings, market_within_s: float) -> None:
        self._access = access
        self._reader = reader
        self._readings = readings
        self._market_within_s = market_within_s
        self._listing = ListProgress()

    async def open(self, request: Request) -> Response:
        """Give the cookie to the first who brings the link's word; whoever has it already is let in too."""
        folder = self._access.folder
        if self._access.use_link(request.path_params["word"]):
            return RedirectResponse(f"{folder}/", 303, {"Set-Cookie": self._access.set_cookie})
        if self._access.may_look(request.cookies):
            return RedirectResponse(f"{folder}/", 303)
        text = "This link was used before, or is not the whole one." + AGAIN
        return HTMLResponse(rendering.note("Not allowed", text), 403)

    async def market(self, request: Request) -> Response:
        """Providers, each asked for proof; the first time, those that were heard so far."""
        reading = await self._readings.look("market", self._read_market, fresh_s=MARKET_FRESH_S)
        known = reading.value or self._listing.result()
        view = None if known is None else market_view(known, asking=reading.running and reading.value is None)
        about = rendering.reading_view("The market", reading)
        return HTMLResponse(rendering.page(self._access.folder, "market", "Market", about, view))

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
        about = rendering.reading_view("The list of your pods", reading)
        return HTMLResponse(rendering.page(self._access.folder, "pods", "My pods", about, view))

    async def pod(self, request: Request) -> Response:
        """One pod, by its name."""
        try:
            name = check_name(request.path_params["name"])
        except BadInput as error:
            text = clean(f"{error.what}: {error.hint}")
            return HTMLResponse(rendering.note("There is no such pod", text), 404)
        reading = await self._readings.look(f"pods/{name}", self._overview(name))
        view = None if reading.value is None else pod_view(reading.value)
        about = rendering.reading_view(f"The pod {name}", reading)
        return HTMLResponse(rendering.page(self._access.folder, "pod", name, about, view))

    def _overview(self, name: str) -> Callable[[], Awaitable[OverviewResult]]:
        return lambda: self._reader.overview(name, tail=TAIL)

    async def static(self, request: Request) -> Response:
        """A file that a page loads."""
        name = request.path_params["name"]
        content = rendering.static(name)
        if content is None:
            raise HTTPException(404)
        return Response(content, media_type=rendering.STATIC[name])
