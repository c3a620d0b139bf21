# SPDX-License-Identifier: Apache-2.0
"""Times as a person reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.publisher.commands.lines.moments import LAST_MOMENT, moment


@pytest.mark.parametrize(
    ("unix", "told"),
    [
        (None, "-"),
        (0, "-"),
        (1_800_000_000, "2027-01-15 08:00:00Z"),
        (LAST_MOMENT, "9999-12-31 23:59:59Z"),
        (LAST_MOMENT + 1, f"second {LAST_MOMENT + 1}"),
    ],
)
def test_a_time_is_a_date_where_there_is_one(unix, told):
    assert moment(unix) == told


@given(st.integers(min_value=0, max_value=(1 << 64) - 1))
def test_any_number_that_a_provider_calls_a_time_is_told(number):
    """Its words hold 64 bits; no date of Python's does."""
    assert moment(number)
