# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.publisher.core.dialling import (
    FIRST_WAIT_S,
    HEAD_START_S,
    LONGEST_WAIT_S,
    MAX_REMEMBERED,
    MOST_MORE_S,
    Failures,
    failed,
    head_start_s,
    kept,
    stale_before,
    wave,
)


@given(st.integers(1, 60), st.integers(0, 1 << 40))
def test_failures_count_longer_each_time_and_never_for_ever(times, now):
    known = None
    for _ in range(times):
        known = failed(known, "here", now)
    assert known.count == times
    assert known.counts("here", now + FIRST_WAIT_S - 1)
    assert not known.counts("here", now + LONGEST_WAIT_S)
    assert not known.counts("there", now)
    assert failed(known, "there", now).count == 1


def test_the_latest_are_kept():
    many = {str(number): Failures(1, number, "x") for number in range(MAX_REMEMBERED + 5)}
    assert set(many) - set(kept(many)) == {"0", "1", "2", "3", "4"}


def test_waves_grow_and_stay():
    assert [wave(number) for number in range(7)] == [8, 8, 16, 32, 32, 32, 32]


@given(st.floats(0, 100))
def test_who_is_better_has_as_long_again_within_bounds(took_s):
    head = head_start_s(took_s)
    assert head >= HEAD_START_S
    assert took_s <= head <= max(HEAD_START_S, took_s + MOST_MORE_S)
    assert head_start_s(0.1) == HEAD_START_S
    assert head_start_s(1.4) == 2.8


@given(st.lists(st.integers(0, 1 << 40)), st.integers(0, 1 << 20))
def test_the_newest_row_is_never_stale(updated, most):
    assert all(one >= stale_before(updated, most) for one in updated if one == max(updated))
