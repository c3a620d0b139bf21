# SPDX-License-Identifier: Apache-2.0
"""Whole numbers of base units as decimal text, exact and never in exponent form."""

COIN_DECIMALS = 18
"""Of the chain's own coin: a wei is its last place."""


def exact_text(units: int, decimals: int) -> str:
    """`2.5` for 2500000 units of six decimals: every digit, and no zeros behind them."""
    whole, part = divmod(abs(units), 10**decimals)
    digits = f"{part:0{decimals}d}".rstrip("0") if decimals else ""
    sign = "-" if units < 0 else ""
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"
