# SPDX-License-Identifier: Apache-2.0
"""When backups are due: at their times, once for those that were missed, later after failures."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.publisher.backups.schedule import (
    FIRST_PAUSE_S,
    LEAST_EVERY_S,
    LONGEST_PAUSE_S,
    MOST_EVERY_S,
    Schedule,
    Tried,
    is_due,
    next_at,
    pause_s,
)

SINCE = 1_795_946_400
DAY = 24 * 3600
EVERY = st.integers(LEAST_EVERY_S, MOST_EVERY_S)
AFTER = st.integers(0, 3 * MOST_EVERY_S)
FAILURES = st.integers(0, 60)


def test_the_first_is_due_at_once_and_the_next_at_its_time():
    daily = Schedule(SINCE, DAY)
    assert is_due(daily, Tried(), SINCE)
    done = Tried(SINCE + 30)
    assert next_at(daily, done, SINCE + 40) == SINCE + DAY
    assert not is_due(daily, done, SINCE + DAY - 1)
    assert is_due(daily, done, SINCE + DAY)


def test_an_older_backup_by_hand_does_not_count():
    assert is_due(Schedule(SINCE, DAY), Tried(SINCE - 60), SINCE)


@given(EVERY, AFTER)
def test_missed_times_are_made_up_for_by_one(every, after):
    schedule, now = Schedule(SINCE, every), SINCE + every + after
    assert is_due(schedule, Tried(SINCE), now)
    made = Tried(now)
    assert not is_due(schedule, made, now)
    assert now < next_at(schedule, made, now) <= now + every
    assert (next_at(schedule, made, now) - SINCE) % every == 0


@given(EVERY, AFTER, FAILURES)
def test_after_a_failure_it_is_tried_again_and_no_later_than_the_next_time(every, after, failures):
    schedule, now = Schedule(SINCE, every), SINCE + after
    tried = Tried(None, failures, now)
    assert next_at(schedule, tried, now) == (now + pause_s(failures, every) if failures else SINCE)
    assert is_due(schedule, tried, now + every)


@given(EVERY, FAILURES)
def test_pauses_grow_to_a_limit(every, failures):
    assert pause_s(0, every) == 0
    assert pause_s(1, every) == FIRST_PAUSE_S
    assert pause_s(failures, every) <= pause_s(failures + 1, every) <= min(every, LONGEST_PAUSE_S)


@given(EVERY, st.integers(0, 10**9))
def test_a_schedule_of_a_clock_that_was_ahead_is_not_due_at_every_look(every, ahead):
    schedule = Schedule(SINCE + ahead, every)
    assert is_due(schedule, Tried(), SINCE)
    made = Tried(SINCE)
    if ahead:
        assert not is_due(schedule, made, SINCE + min(60, ahead - 1))
    assert next_at(schedule, made, SINCE) == SINCE + every


@given(
    EVERY, st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), FAILURES
)
def test_a_clock_that_was_wrong_stops_nothing(every, since, done, failed, failures):
    """Whatever times are kept, within two times and a pause from now a backup is due."""
    now = SINCE
    schedule, tried = Schedule(now + since, every), Tried(now + done, failures, now + failed)
    assert next_at(schedule, tried, now) <= now + 2 * every + LONGEST_PAUSE_S
    assert any(is_due(schedule, tried, now + step * every) for step in range(4))
