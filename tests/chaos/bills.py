# SPDX-License-Identifier: Apache-2.0
"""What the observer would bill, by docs/metering.md, and what the publisher was billed."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.observer import Run
from tests.chaos.verdict import Request
from tests.live.publisher import Json
from trustedpods.contracts.terms import due
from trustedpods.protocol.messages import Prices
from trustedpods.protocol.units import Usage

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything about one pod that somebody outside can see."""

    runs: tuple[Run, ...]
    requests: tuple[Request, ...]
    image_bytes: int
    created: int
    up_to: int


def expected(seen: Seen) -> Usage:
    """The quantities up to the end of the last billed period, from outside."""
    lengths = [(run, run.seconds(seen.up_to)) for run in seen.runs]
    return Usage(
        cpu_core_ms=sum(run.cpu_milli * seconds for run, seconds in lengths),
        memory_mib_s=sum(run.memory_mib * seconds for run, seconds in lengths),
        storage_mib_s=-(-seen.image_bytes // MIB) * (seen.up_to - seen.created),
        egress_kib=sum(request.received for request in seen.requests) // KIB,
        ingress_kib=sum(request.sent for request in seen.requests) // KIB,
    )


def billed(bill: Json) -> Usage:
    """The sum of all periods that were claimed."""
    return total(Usage(**{name: line[name] for name in Usage.__dataclass_fields__}) for line in bill["lines"])


def total(usages: Iterable[Usage]) -> Usage:
    """Field by field."""
    rows = [usage.quantities for usage in usages]
    return Usage(*(sum(column) for column in zip(*rows, strict=True)))


def off(ours: int, theirs: int) -> float:
    """How far *theirs* is from *ours*, as a part of ours."""
    return (theirs - ours) / max(1, ours)


def worth(usage: Usage, prices: Prices) -> int:
    """Base units."""
    return int(due(usage, prices))
