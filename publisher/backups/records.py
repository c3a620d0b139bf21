# SPDX-License-Identifier: Apache-2.0
"""What this machine keeps of backups: schedules, what came of them, and the newest backup of each place.

Small files below the user's folder of state, whole or not there. No credentials are in them.
"""

import hashlib
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trustedpods.protocol.errors import BadInput, ExitCode
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.whole_file import private_folder, read_whole_or_none, replace_whole
from trustedpods.publisher.backups.door import MAX_SHOWN
from trustedpods.publisher.backups.places import MAX_PLACE
from trustedpods.publisher.backups.schedule import LEAST_EVERY_S, MOST_EVERY_S, Schedule, Tried

FOLDER: Final = "backups"
MAX_RECORD: Final = 64 * KIB
"""A page of options, commands among them."""

MAKER_BYTES: Final = 4
"""Of a machine's mark in its backups' names: it tells a publisher's own few machines apart."""

M = TypeVar("M", bound=BaseModel)
_Words = Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=64)]
_Time = Annotated[int, Field(ge=0, lt=2**40)]
_STRICT = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ScheduledBackup(BaseModel):
    """How and how often a pod is backed up: `store` is a whole place, the rest as the options of `backup`."""

    model_config = _STRICT
    store: Annotated[str, Field(max_length=MAX_PLACE)]
    since: _Time
    every_s: Annotated[int, Field(ge=LEAST_EVERY_S, le=MOST_EVERY_S)]
    keep: Annotated[int, Field(ge=1, le=10_000)]
    volumes: _Words = ()
    container: Annotated[str, Field(max_length=253)] | None = None
    exclude: _Words = ()
    quiesce: _Words = ()
    resume: _Words = ()

    @property
    def schedule(self) -> Schedule:
        """Its times."""
        return Schedule(self.since, self.every_s)


class LastBackup(BaseModel):
    """The newest backup that was made from here, by schedule or by hand, and where it is."""

    model_config = _STRICT
    store: Annotated[str, Field(max_length=MAX_PLACE)]
    name: Annotated[str, Field(max_length=64)]
    began: _Time
    ended: _Time
    size: Annotated[int, Field(ge=0)]


class FailedBackup(BaseModel):
    """The last failure after it: `count` of them in a row; `code`, `exit` and `text` are the error's."""

    model_config = _STRICT
    at: _Time
    count: Annotated[int, Field(ge=1)]
    code: str
    exit: int
    text: Annotated[str, Field(max_length=4 * MAX_SHOWN)]


class BackupRecord(BaseModel):
    """One pod of one publisher in one market.

    `begun` is when a backup of the schedule was begun that has not ended: it is being made, or was cut off.
    `stopped_at` is when one was due last and the pod was stopped by its publisher, which is no failure.
    """

    model_config = _STRICT
    pod: Annotated[str, Field(max_length=64)]
    scope: Annotated[str, Field(max_length=256)]
    scheduled: ScheduledBackup | None = None
    last: LastBackup | None = None
    failed: FailedBackup | None = None
    begun: _Time | None = None
    stopped_at: _Time | None = None

    @property
    def tried(self) -> Tried:
        """What the schedule needs to know; backups in another place than its own do not count."""
        last = self.last
        if last is None or self.scheduled is None or last.store != self.scheduled.store:
            done = None
        else:
            done = last.began
        if self.stopped_at is not None and self.begun is None:
            return Tried(done, 1, self.stopped_at)  # looked at again after the shortest pause
        failed = self.cut_off() if self.begun is not None else self.failed
        return Tried(done, *((0, 0) if failed is None else (failed.count, failed.at)))

    def cut_off(self) -> FailedBackup:
        """The failure that a backup is which was begun and whose process died."""
        at = self.begun or 0
        count = 1 if self.failed is None else self.failed.count + 1
        text = "it was begun and cut off: its process was ended, by a time limit perhaps"
        return FailedBackup(at=at, count=count, code="cut-off", exit=int(ExitCode.REFUSED), text=text)


class NewestBackup(BaseModel):
    """The newest backup of a pod that this machine made or opened in a place: it must not vanish unseen."""

    model_config = _STRICT
    name: Annotated[str, Field(max_length=64)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class BackupRecords:
    """The folder of them. `BadInput`, at the file, for one that cannot be read or written, or is damaged."""

    def __init__(self, state: Path) -> None:
        self._folder = state / FOLDER

    def maker(self) -> str:
        """This machine's mark, made once: 8 hex digits."""
        path = self._folder / "maker"
        known = read_whole_or_none(path, 2 * MAKER_BYTES)
        if known is not None and len(known) == 2 * MAKER_BYTES and set(known) <= set(b"0123456789abcdef"):
            return known.decode()
        made = secrets.token_hex(MAKER_BYTES)
        self._write(path, made.encode())
        return made

    def load(self, scope: str, pod: str) -> BackupRecord:
        """What is kept of a pod; *scope* names its market and its publisher."""
        found = self._read(self._path("pod", scope, pod), BackupRecord)
        return found or BackupRecord(pod=pod, scope=scope)

    def save(self, record: BackupRecord) -> None:
        """In place of what was kept of that pod."""
        path = self._path("pod", record.scope, record.pod)
        self._write(path, record.model_dump_json(indent=1, exclude_none=True).encode())

    def scheduled(self, scope: str, damaged: Callable[[BadInput], None]) -> list[BackupRecord]:
        """All records of *scope* with a schedule, by their pods' names; *damaged* is told of what is none."""
        found: list[BackupRecord] = []
        for path in sorted(self._folder.glob("*.pod.json")):
            try:
                record = self._read(path, BackupRecord)
            except BadInput as error:
                damaged(error)
                continue
            if record is not None and record.scope == scope and record.scheduled is not None:
                found.append(record)
        return sorted(found, key=lambda one: one.pod)

    def newest(self, publisher: str, place: str, pod: str) -> NewestBackup | None:
        """The newest backup in a place that is known here."""
        return self._read(self._path("newest", f"{publisher} {place}", pod), NewestBackup)

    def set_newest(self, publisher: str, place: str, pod: str, newest: NewestBackup) -> None:
        """From now on it must be there."""
        path = self._path("newest", f"{publisher} {place}", pod)
        self._write(path, newest.model_dump_json().encode())

    def _path(self, kind: str, scope: str, pod: str) -> Path:
        name = hashlib.sha256(f"{scope}\0{pod}".encode()).hexdigest()[:32]
        return self._folder / f"{name}.{kind}.json"

    def _read(self, path: Path, form: type[M]) -> M | None:
        raw = read_whole_or_none(path, MAX_RECORD, "the record of backups")
        if raw is None:
            return None
        try:
            return form.model_validate_json(raw)
        except ValidationError:
            hint = "remove it, then give the schedule again"
            raise BadInput("damaged", where=str(path), hint=hint) from None

    def _write(self, path: Path, data: bytes) -> None:
        try:
            private_folder(path.parent)
            replace_whole(path, data)
        except OSError as error:
            text = f"cannot keep what is known of backups: {error.strerror}"
            raise BadInput(text, where=str(path)) from None
