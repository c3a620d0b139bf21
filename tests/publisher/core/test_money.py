# SPDX-License-Identifier: Apache-2.0
"""Amounts and durations: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.core.money import Funding, Token, duration_text, parse_duration, parse_funding

TOKENS = st.builds(Token, st.just("TEST"), st.integers(0, 30))


@given(TOKENS, st.integers(0, 10**60))
def test_what_is_printed_is_read_back_to_the_base_unit(token, units):
    printed = token.number(units)
    assert "e" not in printed.lower()
    assert token.units(Decimal(printed), "x") == units


@given(TOKENS, st.integers(1, 10**60))
def test_negative_amounts_keep_their_sign(token, units):
    assert token.number(-units) == "-" + token.number(units)


def test_text():
    token = Token("USDC", 6)
    assert token.text(2_500_000) == "2.5 USDC"
    assert token.text(1) == "0.000001 USDC"
    assert token.text(0) == "0 USDC"
    assert Token("X", 0).text(7) == "7 X"


def test_rough_prices_have_four_digits():
    token = Token("X", 18)
    assert token.rough(388_406_249_983_180_800) == "0.3884 X"
    assert token.rough(12_345_678 * 10**18) == "12350000 X"
    assert token.rough(0) == "0 X"
    assert token.rough(1) == "0.000000000000000001 X"


@given(TOKENS, st.integers(0, 10**30))
def test_four_digits_are_near_and_rounded_up_where_they_must_be_there(token, units):
    exact = Decimal(token.number(units))
    short, least = Decimal(token.short(units)), token.short(units, at_least=True)
    assert abs(short - exact) * 2000 <= exact
    assert exact <= Decimal(least) <= exact + exact / 999
    assert "e" not in least.lower()


def test_a_finer_amount_than_the_token_has_is_refused():
    with pytest.raises(BadInput, match="more than the 6 decimals"):
        Token("USDC", 6).units(Decimal("0.0000001"), "deposit")


@pytest.mark.parametrize(
    ("text", "funding"),
    [
        ("2.5", Funding(amount=Decimal("2.5"))),
        ("10", Funding(amount=Decimal(10))),
        ("1h", Funding(seconds=3600)),
        ("90s", Funding(seconds=90)),
        ("2w", Funding(seconds=14 * 86400)),
    ],
)
def test_funding(text, funding):
    assert parse_funding(text, "--deposit") == funding


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1e9", "1 h", "1y", "h", "0s", "1.5h", "NaN", "inf", "4000d", "٣", "1_0", ".5", "5."],
)
def test_what_is_no_funding(text):
    with pytest.raises(BadInput):
        parse_funding(text, "--deposit")


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        funding = parse_funding(text, "x")
    except BadInput:
        return
    assert (funding.amount is None) != (funding.seconds is None)


def test_durations_are_read():
    assert [parse_duration(text, "x") for text in ("0s", "90s", "2m", "1h")] == [0, 90, 120, 3600]
    for bad in ("", "5", "-1s", "1.5h", "9999d"):
        with pytest.raises(BadInput):
            parse_duration(bad, "x")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59, "59 s"), (320, "5 min 20 s"), (3600, "1 h"), (183600, "2 d 3 h")]
)
def test_durations(seconds, text):
    assert duration_text(seconds) == text
