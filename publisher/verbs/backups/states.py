# SPDX-License-Identifier: Apache-2.0
"""How schedules of backups go, as `watch` and `status` tell it: from what this machine keeps."""

import time
from collections.abc import Sequence

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.backups.records import BackupRecord
from trustedpods.publisher.backups.schedule import next_at
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.backups.volumes import ScheduledState
from trustedpods.publisher.verbs.backups.places import backup_records, scope_of
from trustedpods.publisher.visits import records


def state_of(account: MarketAccount, pod: str, journal: Journal) -> ScheduledState | None:
    """The schedule of a pod and how it goes; None where it has none. A damaged record is said."""
    try:
        record = backup_records().load(scope_of(account), pod)
    except BadInput as error:
        journal.show.warning(str(error))
        return None
    return None if record.scheduled is None else state_told(record, int(time.time()))


def states(account: MarketAccount, names: Sequence[str], journal: Journal) -> tuple[ScheduledState, ...]:
    """The same of all pods that are kept here, or of those of *names*."""
    now = int(time.time())
    return tuple(state_told(record, now) for record in followed(account, names, journal))


def followed(account: MarketAccount, names: Sequence[str], journal: Journal) -> list[BackupRecord]:
    """Schedules of pods that are kept here; one of a pod that has ended waits until it is deployed again.

    A damaged record is said, and stops no other.
    """
    here = {one.name for one in records.mine(account, journal)}
    found = backup_records().scheduled(scope_of(account), lambda error: journal.show.warning(str(error)))
    return [one for one in found if one.pod in here and (not names or one.pod in names)]


def state_told(record: BackupRecord, now: int) -> ScheduledState:
    """The schedule of *record*, which has one, as it is told at *now*."""
    scheduled, last, failed = record.scheduled, record.last, record.failed
    assert scheduled is not None
    return ScheduledState(
        pod=record.pod,
        store=scheduled.store,
        every_s=scheduled.every_s,
        keep=scheduled.keep,
        next_at=next_at(scheduled.schedule, record.tried, now),
        last=None if last is None else last.name,
        last_at=None if last is None else last.ended,
        size=None if last is None else last.size,
        failures=0 if failed is None else failed.count,
        failed_at=None if failed is None else failed.at,
        exit_code=0 if failed is None else failed.exit,
        begun=record.begun,
        stopped=record.stopped_at is not None,
        why="" if failed is None else failed.text,
    )
