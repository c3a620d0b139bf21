# SPDX-License-Identifier: Apache-2.0
"""Texts of the operator's page: amounts, sizes, shares. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.local_page.texts import clean
from trustedpods.provider.core.earnings.amounts import COIN_DECIMALS, exact_text

SHOWN_DIGITS = 6
"""Behind the point: the table of the command line is exact, a page is to be read."""


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A name and what stands behind it; `warns` where somebody should look."""

    name: str
    text: str
    warns: bool = False


def tokens(units: str | None, decimals: int | None, symbol: str | None) -> str:
    """An amount with its symbol; in base units where the chain does not say how many decimals they have."""
    if units is None:
        return "-"
    if decimals is None:
        return f"{units} base units"
    return f"{_short(int(units), decimals)} {clean(symbol or '')}".strip()


def coin(wei: int) -> str:
    """An amount of the chain's own coin."""
    return _short(wei, COIN_DECIMALS)


def _short(units: int, decimals: int) -> str:
    """Rounded down; an amount too small for that is told to be one."""
    drop = max(0, decimals - SHOWN_DIGITS)
    cut = units // 10**drop if units >= 0 else -(-units // 10**drop)
    if cut == 0 and units != 0:
        return f"less than {exact_text(1, SHOWN_DIGITS)}"
    return exact_text(cut, decimals - drop)


def cores(milli: int) -> str:
    """Thousandths of a core as cores."""
    return f"{exact_text(milli, 3)} cores"


def mib(size: int) -> str:
    """MiB, from a GiB on as those."""
    return f"{size} MiB" if size < 1024 else f"{size / 1024:.1f} GiB"


def share(part: int, whole: int) -> str:
    """Percent of *whole*, or a dash of nothing."""
    return "-" if whole <= 0 else f"{100 * part / whole:.0f} %"
