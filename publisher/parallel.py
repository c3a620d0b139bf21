# SPDX-License-Identifier: Apache-2.0
"""Tasks side by side that fail with one error, the one worth telling."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trustedpods.protocol.errors import most_telling


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A trio nursery that raises the most telling error of its tasks, instead of a group of all."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        raise most_telling(group) from None
