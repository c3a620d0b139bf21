# SPDX-License-Identifier: Apache-2.0
"""Schedules of backups: written down by `backup --every`, followed by `watch`, one backup at a time.

What is due is decided from what is kept on the disk, so a `watch` that was killed goes on where it was. A
failure is kept with why, tried again after a pause that grows, and told in every round until one succeeds.
"""

import time
from collections.abc import Callable, Sequence

import trio

from trustedpods.protocol.errors import BadInput, Locked, Refused, TrustedPodsError
from trustedpods.publisher.backups.door import MAX_SHOWN
from trustedpods.publisher.backups.places import open_store
from trustedpods.publisher.backups.records import FailedBackup, ScheduledBackup
from trustedpods.publisher.backups.schedule import is_due
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.backups.volumes import BackupScheduleResult
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.state.pod_lock import pod_lock
from trustedpods.publisher.verbs.backups.places import backup_records, known_place, scope_of
from trustedpods.publisher.verbs.backups.states import followed, state_told
from trustedpods.publisher.verbs.running.backup import BackupOptions, backup
from trustedpods.publisher.visits import records
from trustedpods.publisher.visits.visit import Mend

LOOK_EVERY_S = 60.0
"""How often it is looked whether a backup is due: schedules are written by other commands meanwhile."""

LONGEST_S = 24 * 3600.0
"""A backup that takes longer is ended and counts as failed, so that those of other pods are made."""

MENDS: Mend = "nothing"
"""After a provider's reboot rounds release the pod: two at once, of one process, would refuse each other."""

DEFAULT_KEEP = 7
"""Of a schedule for which nothing was said: a place does not grow without end."""


_NOTHING_TRIED = {"failed": None, "begun": None, "stopped_at": None}


def schedule(
    account: MarketAccount, pod: str, every_s: int, options: BackupOptions, journal: Journal
) -> BackupScheduleResult:
    """Write down that *pod* is backed up every *every_s* seconds; the first is due at once.

    Nobody is asked. `Refused` (rule `unknown-pod`) for a pod that was not deployed from here, since `watch`
    looks after no other; `BadInput` for a place that is none.
    """
    if pod not in {one.name for one in records.mine(account, journal)}:
        hint = "give the schedule where the pod was deployed, and where `trustedpods watch` runs"
        raise Refused(f"no pod {pod!r} is kept here", rule="unknown-pod", hint=hint)
    kept, scope = backup_records(), scope_of(account)
    place = known_place(scope, pod, options.store)
    open_store(place)
    wanted = ScheduledBackup(
        store=place,
        since=int(time.time()),
        every_s=every_s,
        keep=options.keep or DEFAULT_KEEP,
        volumes=tuple(options.volumes),
        container=options.container,
        exclude=tuple(options.exclude),
        quiesce=tuple(options.quiesce),
        resume=tuple(options.resume),
    )
    record = kept.load(scope, pod).model_copy(update={"scheduled": wanted, **_NOTHING_TRIED})
    kept.save(record)
    return BackupScheduleResult(pod, state_told(record, int(time.time())))


def unschedule(account: MarketAccount, pod: str) -> BackupScheduleResult:
    """No backup of *pod* is made by itself any more; those that are there stay."""
    kept = backup_records()
    record = kept.load(scope_of(account), pod)
    if record.scheduled is not None or record.failed is not None:
        kept.save(record.model_copy(update={"scheduled": None, **_NOTHING_TRIED}))
    return BackupScheduleResult(pod, None)


async def make_due(account: MarketAccount, names: Sequence[str], journal: Journal) -> int:
    """Make every backup that is due, one after another; how many were tried.

    None where another process makes some now. A failure of one is kept and said, and stops no other. Raises
    `BadInput`, after all others were tried, where nothing can be kept of one: it is not made then.
    """
    tried, unkept = 0, None
    try:
        with pod_lock(state_dir(), f"schedules {scope_of(account)}", "", "watch"):
            for pod in [one.pod for one in followed(account, names, journal)]:
                try:
                    wanted = _begun(account, pod)
                    if wanted is not None:
                        tried += 1
                        await _make(account, pod, wanted, journal)
                except BadInput as error:
                    unkept = error
    except Locked:
        return tried
    if unkept is not None:
        raise unkept
    return tried


def _begun(account: MarketAccount, pod: str) -> ScheduledBackup | None:
    """The pod's schedule if a backup is due, which is kept as begun; None for none.

    As it is now: another command may have changed it while backups of other pods were made. What became of
    one that was begun before and has not ended is kept, too.
    """
    kept, now = backup_records(), int(time.time())
    record = kept.load(scope_of(account), pod)
    if record.scheduled is None or not is_due(record.scheduled.schedule, record.tried, now):
        return None
    before = record.failed if record.begun is None else record.cut_off()
    kept.save(record.model_copy(update={"failed": before, "begun": now}))
    return record.scheduled


async def follow(account: MarketAccount, names: Sequence[str], journal: Callable[[], Journal]) -> None:
    """Make backups as they become due, until it is cancelled; each look has a journal of its own.

    What hinders it is said, and never ends what runs beside it: rounds that pay.
    """
    while True:
        look = journal()
        try:
            await make_due(account, names, look)
        except TrustedPodsError as error:
            look.show.warning(f"no backup can be made: {error}")
        await trio.sleep(LOOK_EVERY_S)


async def _make(account: MarketAccount, pod: str, wanted: ScheduledBackup, journal: Journal) -> None:
    options = BackupOptions(
        store=wanted.store,
        volumes=wanted.volumes,
        container=wanted.container,
        exclude=wanted.exclude,
        quiesce=wanted.quiesce,
        resume=wanted.resume,
        keep=wanted.keep,
    )
    try:
        with trio.fail_after(LONGEST_S):
            made = await backup(account, pod, options, VisitProgress(), journal, MENDS)
    except trio.TooSlowError:
        late = Locked(f"it was not ready after {LONGEST_S / 3600:g} h", rule="no-backup")
        _failed(account, pod, late, journal)
    except TrustedPodsError as error:
        if error.rule == "parked":
            _stopped(account, pod, journal)
        else:
            _failed(account, pod, error, journal)
    except Exception as error:  # noqa: BLE001 - a fault of ours is said in every round; it must not end them
        fault = TrustedPodsError(f"a fault of this program: {type(error).__name__}: {str(error)[:MAX_SHOWN]}")
        _failed(account, pod, fault, journal)
    else:
        _runs(account, pod)
        journal.show.line(f"{pod}  backup {made.name}  {made.size} bytes  {wanted.store}")


def _stopped(account: MarketAccount, pod: str, journal: Journal) -> None:
    """Its publisher keeps it without replicas: no failure. It is said once, and looked at again soon."""
    kept, scope = backup_records(), scope_of(account)
    record = kept.load(scope, pod)
    kept.save(record.model_copy(update={"stopped_at": int(time.time()), "begun": None}))
    if record.stopped_at is None:
        journal.show.line(f"{pod}: stopped, nothing to back up until it is started")


def _runs(account: MarketAccount, pod: str) -> None:
    """The pod was seen running: if it is stopped another time, that is said."""
    kept, scope = backup_records(), scope_of(account)
    record = kept.load(scope, pod)
    if record.stopped_at is not None:
        kept.save(record.model_copy(update={"stopped_at": None}))


def _failed(account: MarketAccount, pod: str, error: TrustedPodsError, journal: Journal) -> None:
    kept, scope = backup_records(), scope_of(account)
    record = kept.load(scope, pod)
    count = 1 if record.failed is None else record.failed.count + 1
    failed = FailedBackup(
        at=int(time.time()),
        count=count,
        code=error.code,
        exit=int(error.exit_code),
        text=str(error)[: 4 * MAX_SHOWN],
    )
    kept.save(record.model_copy(update={"failed": failed, "begun": None, "stopped_at": None}))
    journal.show.warning(f"{pod}: no backup was made: {error}")
