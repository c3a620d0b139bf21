# SPDX-License-Identifier: Apache-2.0
"""Kubernetes quantities and durations as integers."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

_CPU = re.compile(r"^(\d{1,6})(m?)$|^(\d{1,3}\.\d{1,3})$")
_BYTES = re.compile(r"^(\d{1,9})(Ki|Mi|Gi|Ti|k|M|G)?$")
_DURATION = re.compile(r"^(\d{1,6})(ms|s|m|h|d)$")

_BYTE_UNITS = {
    None: 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "Ki": 1 << 10,
    "Mi": 1 << 20,
    "Gi": 1 << 30,
    "Ti": 1 << 40,
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MIB = 1 << 20


def cpu_milli(value: object) -> int:
    """Millicores of `100m`, `2` or `0.5`."""
    match = _CPU.match(str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise ValueError(f"not a CPU quantity: {value!r} (write 100m, 0.5 or 2)")
    whole, milli, fraction = match.groups()
    if fraction is not None:
        return round(float(fraction) * 1000)
    return int(whole) if milli else int(whole) * 1000


def mebibytes(value: object) -> int:
    """MiB of `64Mi` or `2Gi`, rounded up."""
    match = _BYTES.match(str(value)) if not isinstance(value, bool) else None
    if match is None:
        raise ValueError(f"not a size: {value!r} (write 64Mi or 2Gi)")
    return -(-int(match[1]) * _BYTE_UNITS[match[2]] // _MIB)


def seconds(value: object) -> int:
    """Seconds of `5s`, `10m`, `2h` or `1d`."""
    match = _DURATION.match(str(value)) if not isinstance(value, bool) else None
    if match is None or match[2] == "ms":
        raise ValueError(f"not a duration: {value!r} (write 5s, 10m, 2h or 1d)")
    return int(match[1]) * _SECONDS[match[2]]


CpuMilli = Annotated[
    int,
    BeforeValidator(cpu_milli),
    Field(ge=1, le=256_000),
    PlainSerializer(lambda milli: f"{milli}m", return_type=str),
]
"""CPU in thousandths of a core."""

MiB = Annotated[
    int,
    BeforeValidator(mebibytes),
    Field(ge=1, le=16 * 1024 * 1024),
    PlainSerializer(lambda mib: f"{mib}Mi", return_type=str),
]
"""A size in MiB."""

Seconds = Annotated[
    int,
    BeforeValidator(seconds),
    Field(ge=0, le=365 * 86400),
    PlainSerializer(lambda count: f"{count}s", return_type=str),
]
"""A duration in seconds."""
