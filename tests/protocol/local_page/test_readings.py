# SPDX-License-Identifier: Apache-2.0
"""One reading for all who look; the last good one stays when a later one fails."""

import logging

import trio
from trio.testing import wait_all_tasks_blocked

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.local_page.readings import MAX_SUBJECTS, ReadingLimits, Readings

LIMITS = ReadingLimits(fresh_s=10.0, longest_s=100.0, patience_s=5.0)


class Source:
    def __init__(self):
        self.asked, self.error, self.hold = 0, None, None

    async def read(self):
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return self.asked


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


async def test_what_is_new_is_not_read_again(nursery):
    source, clock = Source(), Clock()
    readings = Readings(nursery, LIMITS, clock)
    assert (await readings.look("a", source.read)).value == 1
    clock.time += 9.9
    assert (await readings.look("a", source.read)).value == 1
    clock.time += 0.2
    assert (await readings.look("a", source.read)).value == 2
    clock.time -= 500
    assert (await readings.look("a", source.read)).value == 3


async def test_many_tabs_share_one_reading(nursery):
    source = Source()
    source.hold = trio.Event()
    readings, seen = Readings(nursery, LIMITS, Clock()), []

    async def tab():
        seen.append((await readings.look("a", source.read)).value)

    async with trio.open_nursery() as tabs:
        for _ in range(20):
            tabs.start_soon(tab)
        await wait_all_tasks_blocked()
        source.hold.set()
    assert (seen, source.asked) == ([1] * 20, 1)


async def test_a_failure_leaves_the_last_good_one_with_its_age(nursery):
    source, clock = Source(), Clock()
    readings = Readings(nursery, LIMITS, clock)
    await readings.look("a", source.read)
    source.error = NetworkFailure("away", hint="wait")
    clock.time = 1060.0
    found = await readings.look("a", source.read)
    assert (found.value, found.at, found.failed_at) == (1, 1000.0, 1060.0)
    assert (found.error.what, found.error.hint) == ("away", "wait")
    assert (await readings.look("a", source.read), source.asked) == (found, 2)
    source.error = None
    clock.time = 1080.0
    assert (await readings.look("a", source.read)).error is None


async def test_a_failure_is_tried_again_soon_also_where_what_is_read_is_new_for_hours(nursery):
    source, clock, hours_s = Source(), Clock(), 6 * 3600.0
    clock.time = 1_796_000_000.0
    readings = Readings(nursery, LIMITS, clock)
    source.error = NetworkFailure("away")
    assert (await readings.look("a", source.read, fresh_s=hours_s)).error is source.error
    source.error = None
    clock.time += LIMITS.fresh_s - 1
    assert (await readings.look("a", source.read, fresh_s=hours_s)).value is None
    clock.time += 1
    assert (await readings.look("a", source.read, fresh_s=hours_s)).value == 2
    clock.time += hours_s - 1
    assert (await readings.look("a", source.read, fresh_s=hours_s)).value == 2


async def test_a_slow_reading_does_not_hold_the_page(nursery, virtual_time):
    source = Source()
    readings = Readings(nursery, LIMITS, Clock())
    source.hold = trio.Event()
    found = await readings.look("a", source.read)
    assert (found.value, found.running) == (None, True)
    await trio.sleep(LIMITS.longest_s)
    found = await readings.look("a", source.read)
    assert (found.running, found.error.rule) == (False, "timeout")


async def test_a_bug_is_shown_and_ends_nothing(nursery, caplog):
    source = Source()
    source.error = ZeroDivisionError("oops")
    with caplog.at_level(logging.ERROR, "trustedpods"):
        found = await Readings(nursery, LIMITS, Clock()).look("a", source.read)
    assert "ZeroDivisionError: oops" in str(found.error)
    assert "a bug" in caplog.text


async def test_no_more_subjects_are_kept_than_a_person_looks_at(nursery):
    source = Source()
    readings = Readings(nursery, LIMITS, Clock())
    for number in range(MAX_SUBJECTS + 5):
        await readings.look(str(number), source.read)
    assert len(readings._subjects) <= MAX_SUBJECTS
