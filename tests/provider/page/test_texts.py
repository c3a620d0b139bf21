# SPDX-License-Identifier: Apache-2.0
"""Amounts and sizes as an operator reads them: never more than there is."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.page.texts import coin, cores, mib, share, tokens


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [
        (None, 6, "-"),
        ("0", 6, "0 TPT"),
        ("2500000", 6, "2.5 TPT"),
        ("1", 18, "less than 0.000001 TPT"),
        ("1999999999999999999", 18, "1.999999 TPT"),
        ("7", 0, "7 TPT"),
        ("7", None, "7 base units"),
    ],
)
def test_an_amount(units, decimals, text):
    assert tokens(units, decimals, "TPT") == text


@given(st.integers(10**12, 2**100))
def test_a_coin_is_rounded_down_to_what_is_read(wei):
    shown = Fraction(coin(wei))
    assert shown <= Fraction(wei, 10**18) < shown + Fraction(1, 10**6)


def test_sizes_and_shares():
    assert (cores(1500), mib(1023), mib(1536)) == ("1.5 cores", "1023 MiB", "1.5 GiB")
    assert (share(1, 4), share(1, 0)) == ("25 %", "-")
