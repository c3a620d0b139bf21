# SPDX-License-Identifier: Apache-2.0
"""Tasks side by side that fail with one error, the one worth telling."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import trio

from trustedpods.protocol.errors import NetworkFailure, TrustedPodsError


@asynccontextmanager
async def open_nursery() -> AsyncIterator[trio.Nursery]:
    """A trio nursery that raises the most telling error of its tasks, instead of a group of all."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        raise most_telling(group) from None


def most_telling(error: BaseException) -> BaseException:
    """Of a group: what is not ours, else the first that is no mere network failure.

    When one side of a conversation fails, its streams end, and the tasks on them fail too.
    """
    return min(_leaves(error), key=_rank)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _rank(error: BaseException) -> int:
    if not isinstance(error, Exception):
        return 0
    if not isinstance(error, TrustedPodsError):
        return 1
    return 3 if isinstance(error, NetworkFailure) else 2
