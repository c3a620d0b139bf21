# SPDX-License-Identifier: Apache-2.0
"""What others wrote, cleaned and cut; hypothesis writes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.local_page.texts import LAST_SECOND, MAX_TEXT, clean, when


@given(st.text())
def test_a_text_is_one_printable_line(text):
    assert clean(text).isprintable() or clean(text) == ""
    assert len(clean(text)) <= MAX_TEXT + 1


@given(st.integers(-(2**70), 2**70))
def test_any_number_is_a_time(unix):
    assert when(unix)


@pytest.mark.parametrize(
    ("unix", "text"),
    [
        (None, "-"),
        (1_763_722_443.9, "2025-11-21 10:54:03Z"),
        (LAST_SECOND, "9999-12-31 23:59:59Z"),
        (LAST_SECOND + 1, f"second {LAST_SECOND + 1}"),
        (-5, "second -5"),
    ],
)
def test_a_time_is_a_date_where_a_calendar_has_one(unix, text):
    assert when(unix) == text
