# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities and durations as integers.

The grammar is that of `resource.Quantity` (k8s.io/apimachinery, pkg/api/resource/quantity.go), whole; what is
no whole unit is rounded up, as Kubernetes does: who asks for something gets something.
"""

import re
from fractions import Fraction
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

_QUANTITY = re.compile(
    r"^([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,18}))?$", re.ASCII
)
_DURATION = re.compile(r"^(\d{1,6})(ms|s|m|h|d)$", re.ASCII)

MAX_QUANTITY = 64
"""Characters of a quantity: more digits than any amount has, few enough to count with."""

_MAX_EXPONENT = 128
"""Beyond it, with so few digits, every amount is far above the largest or rounds to the smallest."""

_SCALES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    **{unit: Fraction(10 ** (3 * power)) for power, unit in enumerate("kMGTPE", start=1)},
    **{f"{unit}i": Fraction(1 << (10 * power)) for power, unit in enumerate("KMGTPE", start=1)},
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MIB = 1 << 20


def exact(value: object) -> Fraction | None:
    """The amount that a quantity says, unrounded; None where it is none, or says less than nothing.

    A number counts as its own text, as in JSON.
    """
    if isinstance(value, bool):
        return None
    text = _shown(value) if isinstance(value, int | float) else value
    if not isinstance(text, str) or len(text) > MAX_QUANTITY:
        return None
    match = _QUANTITY.fullmatch(text.strip(" \t\r\n"))  # as Kubernetes' JSON decoder does
    if match is None:
        return None
    sign, number, unit, exponent = match.groups()
    amount = Fraction("0" + number)
    if exponent is not None:
        amount *= Fraction(10) ** max(-_MAX_EXPONENT, min(_MAX_EXPONENT, int(exponent)))
    if unit is not None:
        amount *= _SCALES[unit]
    return None if sign == "-" and amount else amount


def _up(amount: Fraction) -> int:
    return -(-amount.numerator // amount.denominator)


def cpu_milli(value: object) -> int:
    """Millicores of `100m`, `2` or `0.5`, rounded up."""
    if (amount := exact(value)) is None:
        raise ValueError(f"not a CPU quantity: {_shown(value)} (write 100m, 0.5 or 2)")
    return _up(amount * 1000)


def mebibytes(value: object) -> int:
    """MiB of `64Mi`, `1.5Gi` or `1e9`, rounded up."""
    if (amount := exact(value)) is None:
        raise ValueError(f"not a size: {_shown(value)} (write 64Mi, 1.5Gi or 2G)")
    return _up(amount / _MIB)


def _shown(value: object) -> str:
    try:
        return repr(value)[:MAX_QUANTITY]
    except ValueError:  # an integer of more digits than Python writes
        return "a number without end"


def seconds(value: object) -> int:
    """Seconds of `5s`, `10m`, `2h` or `1d`."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] == "ms":
        raise ValueError(f"not a duration: {_shown(value)} (write 5s, 10m, 2h or 1d)")
    return int(match[1]) * _SECONDS[match[2]]


_SCHEMA = WithJsonSchema({"type": ["string", "number"]}, mode="validation")
"""How people write them, for editors."""

MAX_CPU_MILLI = 256_000
"""256 cores: more than a node has."""

MAX_MIB = 16 * 1024 * 1024
"""16 TiB: more than a node has."""


def _cores(milli: int) -> int:
    if not 1 <= milli <= MAX_CPU_MILLI:
        raise ValueError(f"CPU is between 1m and {MAX_CPU_MILLI // 1000}")
    return milli


def _size(mib: int) -> int:
    if not 1 <= mib <= MAX_MIB:
        raise ValueError(f"a size is between 1Mi and {MAX_MIB // (1024 * 1024)}Ti")
    return mib


CpuMilli = Annotated[
    int,
    BeforeValidator(cpu_milli),
    AfterValidator(_cores),
    _SCHEMA,
    PlainSerializer(lambda milli: f"{milli}m", return_type=str),
]
"""CPU in thousandths of a core."""

MiB = Annotated[
    int,
    BeforeValidator(mebibytes),
    AfterValidator(_size),
    _SCHEMA,
    PlainSerializer(lambda mib: f"{mib}Mi", return_type=str),
]
"""A size in MiB."""

Seconds = Annotated[
    int,
    BeforeValidator(seconds),
    Field(ge=0, le=365 * 86400),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern}, mode="validation"),
    PlainSerializer(lambda count: f"{count}s", return_type=str),
]
"""A duration in seconds."""
