# SPDX-License-Identifier: Apache-2.0
"""The server of a page: hypercorn under trio, on the loopback address alone."""

import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.local_page.access import LOOPBACK, PageAccess
from trustedpods.protocol.local_page.readings import ReadingLimits, Readings

if TYPE_CHECKING:
    from hypercorn.typing import Framework
    from starlette.types import ASGIApp

LOGGER = logging.getLogger("trustedpods")

BACKLOG = 64

MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""

IDLE_S = 30
"""A connection on which nothing is asked for so long is closed."""

END_S = 1
"""How long answers that are under way are waited for at the end."""


def listen(port: int) -> socket.socket:
    """A socket on *port* of the loopback address; 0 takes a free one. Raises `BadInput` where it is taken."""
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((LOOPBACK, port))
        found.listen(BACKLOG)
    except OSError as error:
        found.close()
        raise BadInput(
            f"port {port} cannot be used: {error.strerror}",
            where="--port",
            hint="leave it out for a free one",
        ) from error
    return found


async def serve_app(
    listening: socket.socket,
    make: "Callable[[PageAccess, Readings], ASGIApp]",
    tell: Callable[[str], None],
    limits: ReadingLimits | None = None,
) -> None:
    """Serve what *make* makes until cancelled; *tell* is given the link once it can be opened.

    Takes over *listening*.
    """
    access = PageAccess(listening.getsockname()[1])
    async with trio.open_nursery() as nursery:
        app = cast("Framework", make(access, Readings(nursery, limits)))  # two typings of ASGI
        await nursery.start(partial(serve, app, _config(listening)))
        tell(access.link)


def _config(listening: socket.socket) -> Config:
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]  # hypercorn closes it
    config.errorlog = LOGGER
    config.include_server_header = False
    config.h11_max_incomplete_size = MAX_HEAD
    config.keep_alive_timeout = IDLE_S
    config.graceful_timeout = END_S
    config.backlog = BACKLOG
    return config
