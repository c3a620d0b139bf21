# SPDX-License-Identifier: Apache-2.0
"""Quantities as the API server writes them. Pure; what a node *has* is rounded down."""

import re
from fractions import Fraction

from trustedpods.protocol.errors import RemoteProtocolError

_QUANTITY = re.compile(r"^(\d+(?:\.\d+)?)(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei|[eE]\d{1,2})?$", re.ASCII)
_SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{unit: Fraction(10 ** (3 * power)) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1 << (10 * power)) for power, unit in enumerate("KMGTPE", start=1)},
}
_MIB = 1 << 20


def _exact(text: str) -> Fraction:
    match = _QUANTITY.match(text)
    if match is None:
        raise RemoteProtocolError(f"the API server wrote a quantity as {text[:64]!r}")
    number, unit = match.groups()
    if unit is None:
        return Fraction(number)
    return Fraction(number) * (_SCALES[unit] if unit in _SCALES else 10 ** int(unit[1:]))


def milli(text: str | None) -> int:
    """Thousandths, as CPU is counted; 0 for what is not given."""
    return int(_exact(text) * 1000) if text else 0


def mebibytes(text: str | None) -> int:
    """MiB; 0 for what is not given."""
    return int(_exact(text) / _MIB) if text else 0
