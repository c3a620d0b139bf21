# SPDX-License-Identifier: Apache-2.0
"""The page of `trustedpods ui`, served until cancelled."""

import socket
from collections.abc import Callable

from trustedpods.protocol.local_page.readings import ReadingLimits
from trustedpods.protocol.local_page.server import serve_app
from trustedpods.publisher.page.app import Reader, make_app


async def serve_page(
    listening: socket.socket,
    reader: Reader,
    tell: Callable[[str], None],
    limits: ReadingLimits | None = None,
) -> None:
    """Serve what *reader* is asked for; *tell* is given the link once it can be opened."""
    await serve_app(listening, lambda access, readings: make_app(access, reader, readings), tell, limits)
