# SPDX-License-Identifier: Apache-2.0
"""Units of usage and money. Integers only: what is billed is never rounded twice."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import NewType, Self

TokenUnits = NewType("TokenUnits", int)
"""Base units of the market's ERC-20 token."""

UnixSeconds = NewType("UnixSeconds", int)
"""Chain time, or a time of the API server: seconds since 1970, UTC."""


def utc_text(at: int) -> str:
    """Seconds since 1970 as people read them, `2026-11-21 10:54:03Z`.

    OverflowError, ValueError or OSError where they are no date: what others sent is bounded first.
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


KIB = 1024
MIB = 1024 * 1024

MAX_QUANTITY = (1 << 48) - 1
"""A metered quantity travels to the contract as u48."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a pod used in one period; each field is one price of the terms, in this order."""

    cpu_core_ms: int = 0
    memory_mib_s: int = 0
    storage_mib_s: int = 0
    egress_kib: int = 0
    ingress_kib: int = 0

    def __add__(self, other: Self) -> Self:
        """Field by field."""
        return type(self)(*(a + b for a, b in zip(self.quantities, other.quantities, strict=True)))

    @property
    def quantities(self) -> tuple[int, ...]:
        """The five numbers in the contract's order."""
        return (
            self.cpu_core_ms,
            self.memory_mib_s,
            self.storage_mib_s,
            self.egress_kib,
            self.ingress_kib,
        )

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Sum of many; zero for none."""
        sums = [0] * len(fields(cls))
        for part in parts:
            for index, quantity in enumerate(part.quantities):
                sums[index] += quantity
        return cls(*sums)


@dataclass(frozen=True, slots=True)
class Resources:
    """Size of a pod or a replica: CPU, memory, and disk (of a replica its scratch space)."""

    cpu_milli: int
    memory_mib: int
    storage_mib: int = 0


_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration_text(seconds: int) -> str:
    """`2 d 3 h`, `5 min 20 s`: the two largest units."""
    parts = []
    for size, name in _SPANS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"
