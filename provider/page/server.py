# SPDX-License-Identifier: Apache-2.0
"""The page of `trustedpods-provider page`, served until cancelled."""

import socket
import time
from collections.abc import Callable

from trustedpods.protocol.local_page.readings import ReadingLimits
from trustedpods.protocol.local_page.server import serve_app
from trustedpods.provider.page.app import make_app
from trustedpods.provider.page.reader import OperatorReader


async def serve_page(
    listening: socket.socket,
    reader: OperatorReader,
    tell: Callable[[str], None],
    limits: ReadingLimits | None = None,
    clock: Callable[[], float] = time.time,
) -> None:
    """Serve what *reader* is asked for; *tell* is given the link once it can be opened."""
    await serve_app(
        listening, lambda access, readings: make_app(access, reader, readings, clock), tell, limits
    )
