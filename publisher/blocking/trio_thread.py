# SPDX-License-Identifier: Apache-2.0
"""Trio in a thread of its own, with something that was opened in it, for callers outside of any loop."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio

from trustedpods.protocol.errors import LocalProtocolError, most_telling

C = TypeVar("C")
T = TypeVar("T")

STOP_WITHIN_S = 30.0
"""For what runs to be cancelled: a transaction that is on its way is waited for, and no interpreter hangs."""


@dataclass(frozen=True, slots=True)
class _Running(Generic[C]):
    """The thread's inside: what was opened, and how tasks are started and ended there."""

    opened: C
    token: trio.lowlevel.TrioToken
    nursery: trio.Nursery
    stop: trio.Event


class TrioThread(Generic[C]):
    """What *opening* opens, held open in a thread until `stop`; several threads may `call` side by side."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        """Raises what *opening* raises."""
        self._ready: Future[_Running[C]] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(opening,), name="trustedpods-client", daemon=True
        )
        self._thread.start()
        try:
            self._running = self._ready.result()
        except KeyboardInterrupt:
            self._ready.add_done_callback(_stop_late)
            raise

    def _run(self, opening: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        try:
            trio.run(self._serve, opening)
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits for it
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _serve(self, opening: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        stop, token = trio.Event(), trio.lowlevel.current_trio_token()
        async with opening() as opened, trio.open_nursery() as nursery:
            self._ready.set_result(_Running(opened, token, nursery, stop))
            await stop.wait()
            nursery.cancel_scope.cancel()

    def call(self, work: Callable[[C], Awaitable[T]]) -> T:
        """What *work* returns or raises. Ctrl-C cancels it, and is raised once it has ended."""
        future, scope = self._start(work)
        return self._wait(future, scope)

    @contextmanager
    def enter(self, opening: Callable[[C], AbstractAsyncContextManager[T]]) -> Iterator[T]:
        """Hold what *opening* opens while the block runs; what ends it before is raised as the block ends."""
        entered: Future[T] = Future()
        left = trio.Event()

        async def hold(opened: C) -> None:
            async with opening(opened) as value:
                entered.set_result(value)
                await left.wait()

        held, scope = self._start(hold)
        held.add_done_callback(lambda done: _not_entered(entered, done))
        value = self._wait(entered, scope)
        try:
            yield value
        except BaseException:
            self._soon(left.set)
            held.exception()  # the block's own error is the one that counts
            raise
        self._soon(left.set)
        self._wait(held, scope)

    def stop(self) -> None:
        """Cancel what runs, close what was opened, end the thread; nothing where that was done already."""
        self._soon(self._running.stop.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_WITHIN_S)

    def _start(self, work: Callable[[C], Awaitable[T]]) -> tuple[Future[T], trio.CancelScope]:
        running, future, scope = self._running, Future[T](), trio.CancelScope()

        async def task() -> None:
            try:
                with scope:
                    future.set_result(await work(running.opened))
            except BaseException as error:
                told = _told(error)
                future.set_exception(told or _ended())
                if told is None:
                    raise
            if not future.done():
                future.set_exception(_ended())

        def start() -> None:
            if running.stop.is_set():
                future.set_exception(_ended())
            else:
                running.nursery.start_soon(task)

        if not self._soon(start):
            raise _ended()
        return future, scope

    def _wait(self, future: "Future[T]", scope: trio.CancelScope) -> T:
        try:
            return future.result()
        except KeyboardInterrupt:
            self._soon(scope.cancel)
            future.exception()
            raise

    def _soon(self, act: Callable[[], object]) -> bool:
        """Do it in the thread; False where that has ended."""
        try:
            self._running.token.run_sync_soon(act)
        except trio.RunFinishedError:
            return False
        return True


def _stop_late(ready: "Future[_Running[C]]") -> None:
    """Nobody waits any more for what is open now."""
    if ready.exception() is None:
        ready.result().stop.set()


def _not_entered(entered: "Future[T]", held: "Future[None]") -> None:
    error = held.exception()
    if not entered.done():
        entered.set_exception(error or _ended())


def _told(error: BaseException) -> BaseException | None:
    """What is worth telling of *error*; None where it is trio's own word for the end alone."""
    if isinstance(error, trio.Cancelled):
        return None
    if not isinstance(error, BaseExceptionGroup):
        return error
    _, rest = error.split(trio.Cancelled)
    return None if rest is None else most_telling(rest)


def _ended() -> LocalProtocolError:
    return LocalProtocolError("this client was disconnected", hint="make another one")
