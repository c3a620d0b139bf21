# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while a verb runs: the first one is never lost, the second ends the process at once.

Python raises `KeyboardInterrupt` wherever the program happens to be, also in a callback or between the
lines of a `try` that takes every exception for its own; there it can vanish, and the verb goes on. So the
first one is kept until the verb next waits for something. Code that never waits is ended by the second.
"""

import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

R = TypeVar("R")


def run(work: Callable[[], Awaitable[R]]) -> R:
    """Run *work* under trio; raises `KeyboardInterrupt` after the first Ctrl-C."""
    import trio

    if threading.current_thread() is not threading.main_thread():
        return trio.run(work)  # Ctrl-C is never ours there

    async def watched() -> R:
        before = signal.getsignal(signal.SIGINT)  # trio's own, which keeps it until a checkpoint
        signal.signal(signal.SIGINT, _once(before) if callable(before) else before)
        try:
            return await work()
        finally:
            signal.signal(signal.SIGINT, before)

    return trio.run(watched, restrict_keyboard_interrupt_to_checkpoints=True)


@contextmanager
def at_once() -> Iterator[None]:
    """Let Ctrl-C raise `KeyboardInterrupt` where it comes: for work that waits, and not by trio's means."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _once(
    first: Callable[[int, FrameType | None], object],
) -> Callable[[int, FrameType | None], None]:
    """A handler that lets *first* have one signal, and leaves the next one to the kernel."""

    def handler(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        first(number, frame)

    return handler
