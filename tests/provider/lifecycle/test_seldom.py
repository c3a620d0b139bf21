# SPDX-License-Identifier: Apache-2.0
import logging
from itertools import pairwise

import trio
from trio.testing import MockClock

from trustedpods.provider.lifecycle.seldom import FIRST_PAUSE_S, LONGEST_PAUSE_S, SeldomWarnings

LOOK_S = 1.5
DAY_S = 24 * 3600


def run(check):
    trio.run(check, clock=MockClock(autojump_threshold=0))


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def test_the_same_trouble_is_told_at_growing_intervals(caplog):
    """A day of looks: at most one line an hour after the first few, and never none for over an hour."""
    times = []

    async def check():
        warnings = SeldomWarnings(logging.getLogger("test"))
        for _ in range(int(DAY_S / LOOK_S)):
            before = len(caplog.records)
            warnings.warn("pod", "no slot is free")
            times.extend([trio.current_time()] * (len(caplog.records) - before))
            await trio.sleep(LOOK_S)

    run(check)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert FIRST_PAUSE_S <= gaps[0] < FIRST_PAUSE_S + 2 * LOOK_S
    assert all(later >= earlier - 2 * LOOK_S for earlier, later in pairwise(gaps))
    assert max(gaps) < LONGEST_PAUSE_S + 2 * LOOK_S
    assert len(times) < 35
    assert told(caplog)[:2] == ["no slot is free", "no slot is free (still)"]


def test_what_is_new_is_told_at_once(caplog):
    async def check():
        warnings = SeldomWarnings(logging.getLogger("test"))
        for text in ("full", "full", "gone", "full"):
            warnings.warn("pod", text)
        warnings.warn("other", "full")
        warnings.well("pod")
        warnings.warn("pod", "full")
        warnings.keep_only({"pod"})
        warnings.warn("other", "full")
        warnings.warn("pod", "full")

    run(check)
    assert told(caplog) == ["full", "gone", "full", "full", "full", "full"]
