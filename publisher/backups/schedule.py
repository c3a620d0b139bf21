# SPDX-License-Identifier: Apache-2.0
"""When the next backup of a schedule is made. Pure: times are Unix seconds, and are handed in."""

from dataclasses import dataclass
from typing import Final

LEAST_EVERY_S: Final = 10 * 60
"""Each backup is a whole copy, and is billed as traffic."""

MOST_EVERY_S: Final = 366 * 24 * 3600

FIRST_PAUSE_S: Final = 5 * 60
"""After a failure; twice as long after each further one."""

LONGEST_PAUSE_S: Final = 3600
"""A store or provider that is back is met again within this."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Every *every_s* seconds, counted from *since*, when it was written down: the first is due at once."""

    since: int
    every_s: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it so far: when the last whole backup was begun, and the failures in a row after it."""

    done_at: int | None = None
    failures: int = 0
    failed_at: int = 0


def pause_s(failures: int, every_s: int) -> int:
    """How long nothing is tried after so many failures in a row: never longer than until the next time."""
    if failures < 1:
        return 0
    longest = min(LONGEST_PAUSE_S, every_s)
    doubled = min(failures - 1, LONGEST_PAUSE_S.bit_length())
    return int(min(FIRST_PAUSE_S << doubled, longest))


def next_at(schedule: Schedule, tried: Tried, now: int) -> int:
    """When the next backup is due, as seen at *now*; times that were missed are made up for by one backup.

    A time of the record that is further ahead of *now* than a clock's correction explains is not believed:
    a clock that was wrong once must not stop backups for a year. A schedule that was written down in what is
    the future by now counts from the last backup, so that it is not due again at every look.
    """
    done, every = tried.done_at, schedule.every_s
    if done is not None and done > now + every:
        done = None
    since = schedule.since
    if since > now:
        since = now if done is None else done
    due = since if done is None or done < since else since + ((done - since) // every + 1) * every
    if not tried.failures:
        return due
    pause = pause_s(tried.failures, every)
    again = tried.failed_at + pause
    return due if again > now + pause else max(due, again)


def is_due(schedule: Schedule, tried: Tried, now: int) -> bool:
    """Whether a backup is to be made now."""
    return next_at(schedule, tried, now) <= now
