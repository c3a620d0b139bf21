# SPDX-License-Identifier: Apache-2.0
"""When to cut a claim, what goes into it, and what became of one that was sent.

A cut begins exactly where the chain's `upTo` stands and ends where everything is known. One batch
is out at a time; it is stored before it is sent, and the same signed bytes go out again until the
chain shows them, whatever happened in between.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trustedpods.protocol.ids import ChannelId
from trustedpods.protocol.units import UnixSeconds, Usage
from trustedpods.provider.core.record import ChannelFact

MAX_BATCH = 100
"""Items of one claim: 100 cost under a million gas."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel that could be claimed from now: `due` is what its usage costs, in base units.

    `release` ends the channel with this claim; `urgent` does not wait for the interval.
    """

    channel: ChannelId
    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    due: int
    left: int
    release: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """One item of a claim: a period of one channel, and whether it is the last."""

    channel: ChannelId
    from_: UnixSeconds
    up_to: UnixSeconds
    usage: Usage
    release: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """The operator's rules: seconds between claims, and the least that one must earn."""

    interval_s: int
    min_claim: int


def plan(
    candidates: Iterable[Candidate],
    timing: Timing,
    now: UnixSeconds,
    last_claim: UnixSeconds,
    *,
    forced: bool = False,
) -> list[Cut]:
    """The items of the batch to cut now; empty when it is not time or not worth its gas."""
    able = [c for c in candidates if c.up_to > c.from_]
    begun = (c.from_ for c in able if _earns(c))
    if forced or is_time(begun, timing.interval_s, now, last_claim):
        chosen = [c for c in able if c.release or _earns(c)]
    else:
        chosen = [c for c in able if c.release or (c.urgent and _earns(c))]
    chosen = sorted(chosen, key=lambda c: (not c.release, not c.urgent, -c.due))[:MAX_BATCH]
    earned = sum(min(c.due, c.left) for c in chosen)
    if not any(c.release for c in chosen) and earned < max(1, timing.min_claim):
        return []
    return [Cut(c.channel, c.from_, c.up_to, c.usage, c.release) for c in chosen]


def is_time(begun: Iterable[UnixSeconds], interval_s: int, now: UnixSeconds, last_claim: UnixSeconds) -> bool:
    """An interval has passed since the last claim, and since the first of the open periods *begun*.

    A pod that comes after a long silence is not claimed for its first seconds.
    """
    return now >= max(last_claim, min(begun, default=last_claim)) + interval_s


def _earns(candidate: Candidate) -> bool:
    """A dry channel waits for a top-up: what is cut short is lost."""
    return candidate.due > 0 and candidate.left > 0


class Fate(StrEnum):
    """What the chain says of one item of a stored claim."""

    LANDED = "landed"
    PENDING = "pending"
    """The chain still stands at the item's beginning: send (again)."""
    LOST = "lost"
    """It can never land any more: cut anew from where the chain stands."""


def judge(cut: Cut, chain: ChannelFact | None) -> Fate:
    """Fate of a stored item; *chain* None means read, and no such channel.

    A released channel is gone because of the item; another's was closed by its publisher.
    """
    if chain is None:
        return Fate.LANDED if cut.release else Fate.LOST
    if chain.up_to == cut.from_:
        return Fate.PENDING
    if chain.up_to == cut.up_to and not cut.release:
        return Fate.LANDED
    return Fate.LOST


def verdict(fates: Iterable[Fate]) -> Fate:
    """Fate of a whole claim: send while an item can still land, else it landed if any did."""
    seen = set(fates)
    if Fate.PENDING in seen:
        return Fate.PENDING
    return Fate.LANDED if Fate.LANDED in seen else Fate.LOST
