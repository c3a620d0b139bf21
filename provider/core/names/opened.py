# SPDX-License-Identifier: Apache-2.0
"""What the answers to a pod's questions for names open, and until when.

An address is open for each host whose answer held it, until the answer's time is over; what was never asked
is never open. A failed question changes nothing: what is valid stays, and ends with its time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trustedpods.protocol.units import UnixSeconds

MOST_TTL_S = 3600
"""Of an answer: an address that changed hands is shut after an hour at the latest."""

HANDED_S = 10
"""From the end of an answer's time to the end of what it opened, for who took it in its last second."""

MAX_ADDRESSES = 16
"""Of one answer: what fits into the 512 bytes of a plain UDP answer beside a usual name."""

MAX_OPENED = 512
"""Pairs of host and address of one pod. With names of full length their annotation stays under the 256 KiB
that an object's annotations may have, and each is a line for each of its ports in the node's kernel."""

Opened = Mapping[tuple[str, str], int]
"""Until when (Unix seconds) each pair of host and address is open."""


@dataclass(frozen=True, slots=True)
class HostAnswer:
    """An answer: addresses, none for a name that has none, and for how many seconds it is good."""

    addresses: tuple[str, ...]
    ttl_s: int


def lifetime(ttl_s: int, least_s: int) -> int:
    """How long an answer is good here: its own time, at least *least_s*, at most MOST_TTL_S."""
    return min(max(ttl_s, least_s), MOST_TTL_S)


def remembered(opened: Opened, host: str, now: UnixSeconds) -> HostAnswer | None:
    """The answer that is still good for *host*; None where the upstream must be asked.

    Of addresses from two answers only those of the later one are told: the others wait for their end.
    """
    mine = {address: until for (name, address), until in opened.items() if name == host}
    latest = max(mine.values(), default=0)
    if latest - HANDED_S <= now:
        return None
    return HostAnswer(
        tuple(sorted(address for address, until in mine.items() if until == latest)), latest - HANDED_S - now
    )


def with_answer(opened: Opened, host: str, told: HostAnswer, now: UnixSeconds) -> Opened | None:
    """With an answer's addresses; None where the pod would hold more than MAX_OPENED."""
    until = now + told.ttl_s + HANDED_S
    added = {(host, address): until for address in told.addresses}
    found = {**opened, **{pair: max(until, opened.get(pair, 0)) for pair in added}}
    return found if len(found) <= MAX_OPENED else None


def without_ended(opened: Opened, now: UnixSeconds) -> Opened:
    """What is still open at *now*."""
    return {pair: until for pair, until in opened.items() if until > now}


def due(opened: Opened, now: UnixSeconds) -> Sequence[str]:
    """Hosts whose answer is over and whose addresses are not shut yet: a running pod's are asked for again.

    So a connection to an address that its name keeps lives on, and one to an address that the name lost ends.
    """
    latest: dict[str, int] = {}
    for (host, _), until in opened.items():
        latest[host] = max(until, latest.get(host, 0))
    return sorted(host for host, until in latest.items() if until - HANDED_S <= now)
