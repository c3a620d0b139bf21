# SPDX-License-Identifier: Apache-2.0
"""Trio in a thread of its own, with something that was opened in it, for callers outside of any loop."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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


class _Job(Generic[C, T]):
    """One call, and how it is cancelled."""

    def __init__(self, work: Callable[[C], Awaitable[T]]) -> None:
        self._work = work
        self.future: Future[T] = Future()
        self.scope = trio.CancelScope()
        self.begun = False

    async def run(self, opened: C) -> None:
        """Have the future say what came of it, whatever that is."""
        try:
            with self.scope:
                self.future.set_result(await self._work(opened))
        except BaseException as error:
            told = _told(error)
            self.future.set_exception(told or _ended())
            if told is None:
                raise
        if not self.future.done():
            self.future.set_exception(_ended())


class TrioThread(Generic[C]):
    """What *opening* opens, held open in a thread until `stop`; several threads may `call` side by side."""

    def __init__(self, opening: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        """Raises what *opening* raises."""
        self._ready: Future[_Running[C]] = Future()
        self._waiting: set[Future[Any]] = set()
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
        finally:
            for future in list(self._waiting):  # trio may drop what was asked of it in its last moment
                if not future.done():
                    future.set_exception(_ended())

    async def _serve(self, opening: Callable[[], AbstractAsyncContextManager[C]]) -> None:
        stop, token = trio.Event(), trio.lowlevel.current_trio_token()
        async with opening() as opened, trio.open_nursery() as nursery:
            self._ready.set_result(_Running(opened, token, nursery, stop))
            await stop.wait()
            nursery.cancel_scope.cancel()

    def call(self, work: Callable[[C], Awaitable[T]]) -> T:
        """What *work* returns or raises. Ctrl-C cancels it, and is raised once it has ended."""
        job = _Job(work)
        try:
            self._begin(job)
            return job.future.result()
        except KeyboardInterrupt:
            self._give_up(job)
            raise

    @contextmanager
    def enter(self, opening: Callable[[C], AbstractAsyncContextManager[T]]) -> Iterator[T]:
        """Hold what *opening* opens while the block runs; what ends it before is raised as the block ends."""
        entered: Future[T] = Future()
        left = trio.Event()

        async def hold(opened: C) -> None:
            async with opening(opened) as value:
                entered.set_result(value)
                await left.wait()

        job = _Job(hold)
        job.future.add_done_callback(lambda done: _not_entered(entered, done))
        try:
            self._begin(job)
            value = entered.result()
        except KeyboardInterrupt:
            self._give_up(job)
            raise
        try:
            yield value
        except BaseException:
            self._soon(left.set)
            job.future.exception()  # the block's own error is the one that counts
            raise
        self._soon(left.set)
        job.future.result()

    def stop(self) -> None:
        """Cancel what runs, close what was opened, end the thread; nothing where that was done already."""
        self._soon(self._running.stop.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(STOP_WITHIN_S)

    def _begin(self, job: "_Job[C, T]") -> None:
        if threading.current_thread() is self._thread:
            raise LocalProtocolError(
                "a verb of this client was called from within another one, which would wait for itself",
                hint="call it once that one has returned, or from a client of its own",
            )
        running = self._running
        self._waiting.add(job.future)
        job.future.add_done_callback(self._waiting.discard)

        def start() -> None:
            job.begun = True
            if running.stop.is_set():
                job.future.set_exception(_ended())
            else:
                running.nursery.start_soon(job.run, running.opened)

        if not self._soon(start):
            raise _ended()

    def _give_up(self, job: "_Job[C, T]") -> None:
        """Cancel it and wait for its end. An interrupt that came before it began keeps it from beginning."""

        def cancel() -> None:  # behind whatever was asked of the thread before
            job.scope.cancel()
            if not job.begun:
                job.future.set_exception(_ended())

        if self._soon(cancel):
            job.future.exception()

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
