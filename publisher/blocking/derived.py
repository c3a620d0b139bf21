# SPDX-License-Identifier: Apache-2.0
"""Methods that wait, made of methods that are awaited: same words, same results, same documentation."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from trustedpods.publisher.blocking.trio_thread import TrioThread
from trustedpods.publisher.client import Client
from trustedpods.publisher.results.streams.followed import FollowedLogLine
from trustedpods.publisher.verbs.streams.following import LogFeed

P = ParamSpec("P")
T = TypeVar("T")


class InThread:
    """Somebody whose methods are a `Client`'s, which lives in a thread."""

    _thread: TrioThread[Client]


def waits(
    method: Callable[Concatenate[Client, P], Awaitable[T]],
) -> Callable[Concatenate[InThread, P], T]:
    """*method*, run in the client's thread; returns when it has."""

    @wraps(method)
    def call(self: InThread, /, *arguments: P.args, **options: P.kwargs) -> T:
        return self._thread.call(lambda client: method(client, *arguments, **options))

    return call


def holds(
    method: Callable[Concatenate[Client, P], AbstractAsyncContextManager[T]],
) -> Callable[Concatenate[InThread, P], AbstractContextManager[T]]:
    """*method*, held open in the client's thread: `with` instead of `async with`."""

    @wraps(method)
    def call(self: InThread, /, *arguments: P.args, **options: P.kwargs) -> AbstractContextManager[T]:
        return self._thread.enter(lambda client: method(client, *arguments, **options))

    return call


def at_once(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[InThread, P], T]:
    """*method*, which waits for nobody, where the client is."""

    @wraps(method)
    def call(self: InThread, /, *arguments: P.args, **options: P.kwargs) -> T:
        async def done(client: Client) -> T:
            return method(client, *arguments, **options)

        return self._thread.call(done)

    return call


def feeds(
    method: Callable[Concatenate[Client, P], AbstractAsyncContextManager[LogFeed]],
) -> Callable[Concatenate[InThread, P], AbstractContextManager["LineFeed"]]:
    """The same of a stream of lines: `for` instead of `async for`."""

    @wraps(method)
    @contextmanager
    def call(self: InThread, /, *arguments: P.args, **options: P.kwargs) -> Iterator[LineFeed]:
        with self._thread.enter(lambda client: method(client, *arguments, **options)) as feed:
            yield LineFeed(self._thread, feed)

    return call


class LineFeed:
    """`for` gives line after line until the pod is gone; see `Client.follow_logs`."""

    def __init__(self, thread: TrioThread[Client], feed: LogFeed) -> None:
        self._thread, self._feed = thread, feed

    @property
    def several(self) -> bool:
        """Whether lines came, or may come, of more than one replica or container so far."""
        return self._feed.several

    @property
    def ended(self) -> str | None:
        """Why no more lines come; None while they may."""
        return self._feed.ended

    def __iter__(self) -> Iterator[FollowedLogLine]:
        """Lines are given once."""
        while (line := self._thread.call(self._next)) is not None:
            yield line

    async def _next(self, _: Client) -> FollowedLogLine | None:
        try:
            return await self._feed.__anext__()
        except StopAsyncIteration:
            return None
