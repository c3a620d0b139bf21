# SPDX-License-Identifier: Apache-2.0
"""What the observer would bill, by docs/metering.md, and what the publisher was billed."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from tests.chaos.observer import Run
from tests.chaos.verdict import HAPROXY, Kill, Request
from tests.live.clients.publisher import Json
from trustedpods.contracts.terms import due
from trustedpods.protocol.messages.provider import Prices
from trustedpods.protocol.units import Usage

UNCOUNTED_S = 8.0
"""What passes in the last moments of an HAProxy that crashes is lost to the provider, says
docs/metering.md: it counts a running request every 5 s, and the daemon reads that every second."""

KIB = 1024
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything about one pod that somebody outside can see; `stored_bytes` are billed at least.

    `most` is how many of its replicas a second is billed for: its `scale.max`.
    """

    runs: tuple[Run, ...]
    requests: tuple[Request, ...]
    stored_bytes: int
    created: int
    up_to: int
    most: int


def surely_counted(requests: Iterable[Request], kills: Iterable[Kill]) -> tuple[Request, ...]:
    """Those that were over when HAProxy was last read before each of its kills, or began after it."""
    crashes = [kill.at for kill in kills if kill.part == HAPROXY]
    return tuple(
        request
        for request in requests
        if not any(request.began <= at and at - UNCOUNTED_S <= request.ended for at in crashes)
    )


def expected(seen: Seen, *, at_least: bool) -> Usage:
    """The quantities up to the end of the last billed period, from outside."""
    sizes: defaultdict[int, list[Run]] = defaultdict(list)
    for run in seen.runs:
        for second in range(run.seconds(seen.up_to, at_least=at_least)):
            sizes[(run.begun or 0) + second].append(run)
    return Usage(
        cpu_core_ms=sum(_most(seen, [run.cpu_milli for run in at_once]) for at_once in sizes.values()),
        memory_mib_s=sum(_most(seen, [run.memory_mib for run in at_once]) for at_once in sizes.values()),
        storage_mib_s=-(-seen.stored_bytes // MIB) * (seen.up_to - seen.created)
        + sum(_most(seen, [run.scratch_mib for run in at_once]) for at_once in sizes.values()),
        egress_kib=sum(request.received for request in seen.requests) // KIB,
        ingress_kib=sum(request.sent for request in seen.requests) // KIB,
    )


def _most(seen: Seen, reserved: list[int]) -> int:
    """One second: what replicas reserved, at most as much as so many of the largest."""
    return min(sum(reserved), seen.most * max(reserved))


def billed(bill: Json) -> Usage:
    """The sum of all periods that were claimed."""
    return Usage.total(
        Usage(**{name: line[name] for name in Usage.__dataclass_fields__}) for line in bill["lines"]
    )


def worth(usage: Usage, prices: Prices) -> int:
    """Base units."""
    return int(due(usage, prices))
