# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.core.earnings.amounts import exact_text


@given(st.integers(-(2**90), 2**90), st.integers(0, 36))
def test_every_digit_is_told(units, decimals):
    text = exact_text(units, decimals)
    assert Fraction(text) * 10**decimals == units
    assert not ("." in text and text.endswith(("0", ".")))


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (0, 6, "0"),
        (1, 6, "0.000001"),
        (2_500_000, 6, "2.5"),
        (7, 0, "7"),
        (-1, 2, "-0.01"),
        (10**18, 18, "1"),
    ],
)
def test_amounts_as_people_read_them(units, decimals, text):
    assert exact_text(units, decimals) == text
