# SPDX-License-Identifier: Apache-2.0
"""Bars lie where their values do, the highest fills the chart, and none leaves it."""

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.local_page.bars import BAR, HEIGHT, MAX_BARS, WIDTH, Bar, bars_of


def test_the_last_one_is_at_the_right_and_the_highest_fills_the_chart():
    assert bars_of([(0, 10), (2, 5)]) == (
        Bar(WIDTH - BAR, 0, HEIGHT),
        Bar(WIDTH - 3 * BAR, HEIGHT // 2, HEIGHT // 2),
    )


def test_nothing_is_no_bar_and_little_is_one():
    assert bars_of([]) == bars_of([(0, 0), (1, 0.0)]) == ()
    assert [bar.height for bar in bars_of([(0, 10**9), (1, 1)])] == [HEIGHT, 1]


def test_what_lies_too_far_back_is_left_out():
    assert [bar.x for bar in bars_of([(MAX_BARS - 1, 1), (MAX_BARS, 1)])] == [0]


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2**90)), max_size=100))
def test_no_bar_leaves_its_chart(values):
    for bar in bars_of(values):
        assert 0 <= bar.x <= WIDTH - BAR
        assert 0 <= bar.y < HEIGHT
        assert bar.y + bar.height == HEIGHT
