# SPDX-License-Identifier: Apache-2.0
"""In which order providers are dialled, how many at once, and for how long a failure counts. Pure.

Rows cost nothing, so many of them may point at something that never answers, at a price that nobody beats.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trustedpods.protocol.units import UnixSeconds

FIRST_WAIT_S, LONGEST_WAIT_S = 600, 24 * 3600
"""A provider that did not answer comes behind the others for ten minutes, doubled with each failure."""

MAX_REMEMBERED = 2000
"""Providers whose failures are kept, the latest."""

WAVES = (8, 8, 16, 32)
"""How many more are dialled with each wave that brought nobody; the last number again and again. The best
few go together: some that are silent cost no wave of their own."""

HEAD_START_S, MOST_MORE_S = 0.4, 2.0
"""What a dearer provider that has proven itself leaves to better ones: that long from their dialling on, or
as long again as it took itself, but no more than the second number beyond that. A proof takes seven round
trips: of 0.05 s across a continent, of 0.3 s around the world. A deploy of two seconds should not wait for
silence for more than a quarter of its time."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of one provider in a row, and when the last one was. `endpoint` is where it was dialled."""

    count: int
    last: UnixSeconds
    endpoint: str

    def counts(self, endpoint: str, now: UnixSeconds) -> bool:
        """Whether they still put the provider behind the others; a new address begins anew."""
        wait = min(LONGEST_WAIT_S, FIRST_WAIT_S << min(self.count - 1, 16))
        return endpoint == self.endpoint and self.last <= now < self.last + wait


def failed(before: Failures | None, endpoint: str, now: UnixSeconds) -> Failures:
    """One failure more."""
    if before is None or before.endpoint != endpoint:
        return Failures(1, now, endpoint)
    return replace(before, count=min(before.count + 1, 1 << 20), last=now)


def kept(failures: Mapping[str, Failures]) -> dict[str, Failures]:
    """What is worth keeping of them."""
    latest = sorted(failures.items(), key=lambda item: item[1].last, reverse=True)
    return dict(latest[:MAX_REMEMBERED])


def wave(number: int) -> int:
    """How many are dialled in the wave of that number, from 0."""
    return WAVES[min(number, len(WAVES) - 1)]


def head_start_s(took_s: float) -> float:
    """How long after its dialling a better one is waited for where another proved itself in *took_s*.

    Who is far from one of them is far from most, and who is near needs no long wait.
    """
    return max(HEAD_START_S, took_s + min(took_s, MOST_MORE_S))


def stale_before(updated: Sequence[UnixSeconds], most_s: int) -> UnixSeconds:
    """Rows that were last seen to live before this time are left out.

    The newest row of all tells the chain's time well enough: nobody can write a later one.
    """
    return UnixSeconds(max(updated, default=UnixSeconds(0)) - most_s)
