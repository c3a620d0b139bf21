# SPDX-License-Identifier: Apache-2.0
"""One daemon's look at the Lease: when a standby takes it, and when the one that has it must stop acting.

Times are seconds of the daemon's own monotonic clock. A lease counts as left behind when it looked the
same for a whole duration; what stood in it before the first look says nothing of how old it is.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class LeaseView:
    """What stands in the Lease: who holds it (nobody: empty), and the version of the object."""

    holder: str
    version: str


class Step(StrEnum):
    """What a look leads to."""

    TAKE = "take"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class LeaseWatch:
    """The last look that showed something new, and when that was."""

    seen: LeaseView | None = None
    since: float = 0.0


def look(
    watch: LeaseWatch, shown: LeaseView | None, now: float, me: str, duration_s: float
) -> tuple[LeaseWatch, Step]:
    """What *me* does about the lease that is *shown* at *now*; None is a lease that is not there."""
    if shown is None or shown.holder in ("", me):
        return LeaseWatch(shown, now), Step.TAKE
    if shown != watch.seen:
        return LeaseWatch(shown, now), Step.WAIT
    return watch, Step.TAKE if now - watch.since >= duration_s else Step.WAIT


def must_end(renewed: float, now: float, duration_s: float) -> bool:
    """Whether a holder that renewed last at *renewed* may have been replaced: it stops before it knows."""
    return now - renewed >= duration_s
