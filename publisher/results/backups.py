# SPDX-License-Identifier: Apache-2.0
"""Schedules of backups, and how they go."""

from dataclasses import dataclass
from datetime import UTC, datetime

from trustedpods.publisher.core.money import duration_text


@dataclass(frozen=True, slots=True)
class ScheduledState:
    """A pod's schedule: every `every_s` seconds into `store`, of which the `keep` newest stay.

    `next_at`, `last_at` and `failed_at` are Unix seconds. `last` is the newest backup made from here, of
    `size` bytes. `failures` counts those in a row since then; `why` and `exit_code` are of the last one.
    """

    pod: str
    store: str
    every_s: int
    keep: int
    next_at: int
    last: str | None = None
    last_at: int | None = None
    size: int | None = None
    failures: int = 0
    failed_at: int | None = None
    exit_code: int = 0
    why: str = ""

    @property
    def line(self) -> str:
        """For people: what is wrong cannot be overlooked."""
        last = "none yet" if self.last is None else f"last {self.last} ({self.size} bytes)"
        text = f"backups  every {duration_text(self.every_s)} into {self.store}  {last}"
        if not self.failures:
            return f"{text}  next {_when(self.next_at)}"
        times = "once" if self.failures == 1 else f"{self.failures} times"
        return f"{text}  FAILED {times}: {self.why}  again {_when(self.next_at)}"


@dataclass(frozen=True, slots=True)
class BackupScheduleResult:
    """`backup --every`: the schedule that holds now, None for none."""

    pod: str
    schedule: ScheduledState | None


def _when(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
