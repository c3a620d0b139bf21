# SPDX-License-Identifier: Apache-2.0
"""Virtual time for tests of the real daemon: it jumps as soon as everybody only waits for it."""

import math

import trio
from trio.testing import MockClock

IDLE_S = 0.001
"""What was sent over loopback is there by then; nothing else than threads and sockets is waited for."""


def patient_clock(monkeypatch):
    """A clock that stands still while a thread works, however long a busy disk lets it wait.

    trio's own jumps as soon as no task can run, also over a time-out of what a thread is doing.
    """
    clock = MockClock(autojump_threshold=IDLE_S)
    run_sync, working = trio.to_thread.run_sync, 0

    async def counted(*arguments, **options):
        nonlocal working
        working += 1
        clock.autojump_threshold = math.inf
        try:
            return await run_sync(*arguments, **options)
        finally:
            working -= 1
            if not working:
                clock.autojump_threshold = IDLE_S

    monkeypatch.setattr(trio.to_thread, "run_sync", counted)
    return clock
