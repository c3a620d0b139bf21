# SPDX-License-Identifier: Apache-2.0
"""What holds for every page: who gets an answer, with which headers. Every answer is a GET's."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trustedpods.protocol.local_page import rendering
from trustedpods.protocol.local_page.access import HEADERS, PageAccess
from trustedpods.protocol.local_page.rendering import PageTemplates

NOT_YOURS = "This page needs the link that the command printed, in the browser that opened it first."

Shows = Callable[[Request], Awaitable[Response]]
"""Answers one address."""


def guarded_app(access: PageAccess, templates: PageTemplates, pages: Mapping[str, Shows]) -> ASGIApp:
    """*pages*, each below the folder of *access*, to whom that lets in; with the link and the files."""
    entrance = _Entrance(access, templates)
    routes = [
        Route("/open/{word}", entrance.open, methods=["GET"]),
        Route("/static/{name}", entrance.static, methods=["GET"]),
        *(Route(path, shows, methods=["GET"]) for path, shows in pages.items()),
    ]
    app = Starlette(
        routes=[Mount(access.folder, routes=routes)], exception_handlers={HTTPException: entrance.refused}
    )
    return _Guard(app, access, templates)


def _again(templates: PageTemplates) -> str:
    return f" Run `{templates.command}` again for a new link."


class _Entrance:
    """What every page has beside its own: the link, the files, and an answer where there is nothing."""

    def __init__(self, access: PageAccess, templates: PageTemplates) -> None:
        self._access = access
        self._templates = templates

    async def open(self, request: Request) -> Response:
        """Give the cookie to the first who brings the link's word; whoever has it already is let in too."""
        folder = self._access.folder
        if self._access.use_link(request.path_params["word"]):
            return RedirectResponse(f"{folder}/", 303, {"Set-Cookie": self._access.set_cookie})
        if self._access.may_look(request.cookies):
            return RedirectResponse(f"{folder}/", 303)
        text = "This link was used before, or is not the whole one." + _again(self._templates)
        return HTMLResponse(self._templates.note("Not allowed", text), 403)

    async def static(self, request: Request) -> Response:
        """A file that a page loads."""
        name = request.path_params["name"]
        content = rendering.static(name)
        if content is None:
            raise HTTPException(404)
        return Response(content, media_type=rendering.STATIC[name])

    def refused(self, request: Request, error: Exception) -> Response:
        """What starlette itself refuses: no such page, or another method than GET."""
        assert isinstance(error, HTTPException)
        pages = ", ".join(link.title for link in self._templates.links)
        shown = self._templates.note("There is no such page", f"These are the pages that there are: {pages}.")
        return HTMLResponse(shown, error.status_code, headers=error.headers)


class _Guard:
    """Lets in who may look, and sends the headers that hold for every answer."""

    def __init__(self, app: ASGIApp, access: PageAccess, templates: PageTemplates) -> None:
        self._app = app
        self._access = access
        self._templates = templates

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
            return HTMLResponse(self._templates.note("Wrong name", NOT_YOURS), 421)
        opening = request.url.path.startswith(f"{self._access.folder}/open/")
        if not opening and not self._access.may_look(request.cookies):
            text = NOT_YOURS + _again(self._templates)
            return HTMLResponse(self._templates.note("Not allowed", text), 403)
        return self._app


def _with_headers(send: Send) -> Send:
    added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return sending
