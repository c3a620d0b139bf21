# SPDX-License-Identifier: Apache-2.0
"""Backups of a pod's volumes, their schedules, and how those go."""

from dataclasses import dataclass

from trustedpods.protocol.units import utc_text
from trustedpods.publisher.core.money import duration_text


@dataclass(frozen=True, slots=True)
class BackedUpVolume:
    """One volume in a backup: of which replica (None: of all), and how many bytes its tar stream has."""

    volume: str
    ordinal: int | None
    size: int


@dataclass(frozen=True, slots=True)
class VolumeBackupResult:
    """One backup: its name, from when to when it was taken (Unix seconds), and what it holds.

    `left_out` are volumes that must not go back in time; `removed` older backups that went for this one.
    """

    pod: str
    name: str
    began: int
    ended: int
    volumes: tuple[BackedUpVolume, ...]
    left_out: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all volumes."""
        return sum(one.size for one in self.volumes)


@dataclass(frozen=True, slots=True)
class DamagedBackup:
    """A backup that does not open, and why."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class VolumeBackupsResult:
    """Backups of a pod, oldest first; each was opened, and with `verified` every byte of it was checked.

    `damaged` are those that do not open.
    """

    pod: str
    backups: tuple[VolumeBackupResult, ...]
    damaged: tuple[DamagedBackup, ...] = ()
    verified: bool = False


@dataclass(frozen=True, slots=True)
class ScheduledState:
    """A pod's schedule: every `every_s` seconds into `store`, of which the `keep` newest stay.

    `next_at`, `last_at` and `failed_at` are Unix seconds. `last` is the newest backup made from here, of
    `size` bytes. `failures` counts those in a row since then; `begun` is when one was begun that
    has not ended; `why` and `exit_code` are of the last one. `stopped`: the pod's publisher has it stopped.
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
    begun: int | None = None
    stopped: bool = False

    @property
    def line(self) -> str:
        """For people: what is wrong cannot be overlooked."""
        last = "none yet" if self.last is None else f"last {self.last} ({self.size} bytes)"
        text = f"backups  every {duration_text(self.every_s)} into {self.store}  {last}"
        if self.stopped:
            text = f"{text}  the pod is stopped: nothing to back up"
        if self.begun is not None:
            text = f"{text}  begun {utc_text(self.begun)}"
        if not self.failures:
            return text if self.begun is not None else f"{text}  next {utc_text(self.next_at)}"
        times = "once" if self.failures == 1 else f"{self.failures} times"
        return f"{text}  FAILED {times}: {self.why}  again {utc_text(self.next_at)}"


@dataclass(frozen=True, slots=True)
class BackupScheduleResult:
    """`backup --every`: the schedule that holds now, None for none."""

    pod: str
    schedule: ScheduledState | None
