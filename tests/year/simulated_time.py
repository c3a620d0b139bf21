# SPDX-License-Identifier: Apache-2.0
"""One clock for the daemon, the chain and the cluster: it moves only when everybody waits for it.

Where something is awaited it goes from one pause's end to the next. Where nothing is, it goes in strides: a
loop that looks every second looks once in a stride, as on a machine that was suspended. So idle days cost
nothing.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

LONGEST_PAUSE_S = 3600.0
"""A single step of what is awaited: whoever waits longer for a pause of the daemon waits in vain."""

LEAST_S = 0.001
"""Less than this is an error of rounding."""


@dataclass
class SimulatedTime:
    """`clock` is for `trio.run`; `moved` is called after each step, with the seconds since the start."""

    clock: MockClock = field(default_factory=MockClock)
    moved: Callable[[float], None] = lambda _: None
    rounds: int = 0

    def __post_init__(self) -> None:
        self.began = self.clock.current_time()

    def __getstate__(self) -> dict[str, Any]:
        return {"now": self.now, "moved": self.moved, "rounds": self.rounds}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.clock, self.moved, self.rounds = MockClock(), state["moved"], state["rounds"]
        self.began = self.clock.current_time() - state["now"]

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self.clock.current_time() - self.began

    async def stride(self, seconds: float, length: float) -> None:
        """So many seconds go by, in steps of *length*."""
        end = self.now + seconds
        while (left := end - self.now) > LEAST_S:
            await self._step(min(length, left))
        await wait_all_tasks_blocked()

    async def until(self, true: Callable[[], bool], limit_s: float, what: str) -> None:
        """Go on from pause to pause until *true*; AssertionError after so many seconds."""
        end = self.now + limit_s
        while True:
            await wait_all_tasks_blocked()
            if true():
                return
            assert self.now < end, f"{what}: not within {limit_s:g} s"
            pause = trio.lowlevel.current_statistics().seconds_to_next_deadline
            await self._step(min(max(pause, LEAST_S), LONGEST_PAUSE_S))

    async def _step(self, seconds: float) -> None:
        await wait_all_tasks_blocked()
        assert math.isfinite(seconds)
        self.clock.jump(seconds)
        self.rounds += 1
        self.moved(self.now)


@contextmanager
def without_threads() -> Iterator[None]:
    """What a daemon hands to threads is done at once: nothing else goes on, and half of the work is saved."""

    async def at_once(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", at_once)
        yield


@contextmanager
def without_log_records() -> Iterator[None]:
    """Nobody keeps what is logged: pytest does to a test's end, each error with all that its frames had."""
    root = logging.getLogger()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(root, "handlers", [logging.NullHandler()])
        yield
