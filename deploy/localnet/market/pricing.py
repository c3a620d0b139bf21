# SPDX-License-Identifier: Apache-2.0
"""What a localnet's providers ask: round prices, dear enough that seconds show on a bill. Pure."""

from fractions import Fraction

from trustedpods.contracts.terms import prices_of
from trustedpods.protocol.messages.provider import Prices

_MIB_PER_GIB = 1024
_KIB_PER_GIB = 1024 * 1024
_HOUR_S = 3600

_TOKENS_PER_CORE_HOUR = Fraction("3.6")
_TOKENS_PER_GIB_HOUR = Fraction("0.9")
_TOKENS_PER_STORED_GIB_HOUR = Fraction("0.018")
_TOKENS_PER_GIB_OUT = Fraction("0.36")
_TOKENS_PER_GIB_IN = Fraction("0.036")

_CLAIM_WORTH_ITS_GAS = 20_000
"""A token is worth so many claims: what the smallest example uses in half a second awake."""


def prices(decimals: int, percent: int) -> Prices:
    """Prices in base units of a token with so many decimals, at *percent* of the first cluster's."""
    one = Fraction(10**decimals * percent, 100)
    return prices_of(
        [
            one * _TOKENS_PER_CORE_HOUR / (_HOUR_S * 1000),
            one * _TOKENS_PER_GIB_HOUR / (_HOUR_S * _MIB_PER_GIB),
            one * _TOKENS_PER_STORED_GIB_HOUR / (_HOUR_S * _MIB_PER_GIB),
            one * _TOKENS_PER_GIB_OUT / _KIB_PER_GIB,
            one * _TOKENS_PER_GIB_IN / _KIB_PER_GIB,
        ]
    )


def min_claim(decimals: int) -> int:
    """Base units below which a claim would not pay its gas."""
    return int(10**decimals) // _CLAIM_WORTH_ITS_GAS
