# SPDX-License-Identifier: Apache-2.0
"""Amounts as people write them, and as the token counts them."""

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal, localcontext

from trustedpods.protocol import units
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.units import TokenUnits

HOUR_S = 3600
DAY_S = 86400

MAX_DURATION_S = 3650 * DAY_S
"""Ten years: nobody means more, and sums stay far from any bound."""

_AMOUNT = re.compile(r"\d{1,30}(\.\d{1,30})?", re.ASCII)
_DURATION = re.compile(r"(\d{1,9})(s|m|h|d|w)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": HOUR_S, "d": DAY_S, "w": 7 * DAY_S}


@dataclass(frozen=True, slots=True)
class Token:
    """The market's money: how it is called, and how many base units make one."""

    symbol: str
    decimals: int

    def units(self, amount: Decimal, what: str) -> TokenUnits:
        """Base units of *amount* tokens; *what* names the field in errors.

        Raises `BadInput` for a fraction finer than the token has.
        """
        with localcontext(prec=80):
            scaled = amount.scaleb(self.decimals)
            if scaled != scaled.to_integral_value():
                raise BadInput(
                    f"{amount} has more than the {self.decimals} decimals of {self.symbol}", where=what
                )
            return TokenUnits(int(scaled))

    def text(self, units: int) -> str:
        """`2.5 TEST` for people: exact, without trailing zeros."""
        return f"{self.number(units)} {self.symbol}"

    def rough(self, units: int) -> str:
        """`0.3884 TEST`: four digits, for people; JSON has all of them."""
        return f"{self.short(units)} {self.symbol}"

    def short(self, units: int, *, at_least: bool = False) -> str:
        """`0.3884`: four digits, never in exponent form; *at_least*: rounded up, as what has to be there."""
        rounding = ROUND_CEILING if at_least else ROUND_HALF_EVEN
        with localcontext(prec=80):
            amount = Decimal(units).scaleb(-self.decimals)
        return f"{amount.normalize(Context(prec=4, rounding=rounding)):f}"

    def number(self, units: int) -> str:
        """`2.5`: exact, never in exponent form."""
        sign, digits = ("-", str(-units)) if units < 0 else ("", str(units))
        if self.decimals == 0:
            return sign + digits
        digits = digits.rjust(self.decimals + 1, "0")
        whole, fraction = digits[: -self.decimals], digits[-self.decimals :].rstrip("0")
        return f"{sign}{whole}.{fraction}" if fraction else sign + whole


@dataclass(frozen=True, slots=True)
class Funding:
    """How much to pay in: an amount of whole tokens, or so many seconds at full size."""

    amount: Decimal | None = None
    seconds: int | None = None


def parse_funding(text: str, what: str) -> Funding:
    """`2.5` is an amount, `1h` a duration (s, m, h, d, w); *what* names the flag in errors."""
    if _AMOUNT.fullmatch(text) and Decimal(text) > 0:
        return Funding(amount=Decimal(text))
    match = _DURATION.fullmatch(text)
    if match is not None and int(match[1]) > 0:
        seconds = int(match[1]) * _SECONDS[match[2]]
        if seconds > MAX_DURATION_S:
            raise BadInput(f"{text} is longer than ten years", where=what)
        return Funding(seconds=seconds)
    raise BadInput(
        f"neither an amount nor a duration: {text!r}",
        where=what,
        hint="write an amount in whole tokens (2.5), or a duration at full size (90s, 30m, 12h, 7d)",
    )


def parse_duration(text: str, what: str) -> int:
    """Seconds of `90s`, `30m`, `12h` or `0s`; *what* names the flag in errors."""
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) * _SECONDS[match[2]] > MAX_DURATION_S:
        raise BadInput(f"not a duration: {text!r}", where=what, hint="write 90s, 30m, 12h or 7d")
    return int(match[1]) * _SECONDS[match[2]]


duration_text = units.duration_text
"""How a length of time is told to a person: the two largest units."""
