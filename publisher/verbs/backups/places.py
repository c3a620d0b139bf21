# SPDX-License-Identifier: Apache-2.0
"""A place of backups as a verb uses it: held alone while one is made, and not believed when it shrinks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address
from trustedpods.publisher.backups.places import open_store, whole_place
from trustedpods.publisher.backups.pod_backups import PodBackups, StoredBackup
from trustedpods.publisher.backups.records import BackupRecords, NewestBackup
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.state.pod_lock import pod_lock
from trustedpods.publisher.verbs.aftermath import alone


def scope_of(account: MarketAccount) -> str:
    """The market and the publisher whose pod it is, as records of backups name them."""
    file = account.market.file
    return f"{file.chain_id} {file.payments} {account.publisher.address}".lower()


def backup_records() -> BackupRecords:
    """What this machine keeps of backups."""
    return BackupRecords(state_dir())


def known_place(scope: str, pod: str, given: str | None) -> str:
    """The place that is meant: *given*, else that of the pod's schedule or of its last backup from here."""
    if given is not None:
        return whole_place(given)
    record = backup_records().load(scope, pod)
    if record.scheduled is not None:
        return record.scheduled.store
    if record.last is not None:
        return record.last.store
    hint = "a folder, s3://BUCKET/WORDS, or s3+https://HOST[:PORT]/BUCKET/WORDS"
    raise BadInput(f"it is not known where backups of {pod} are kept", where="--store", hint=hint)


@contextmanager
def held_alone(account: MarketAccount, pod: str, place: str) -> Iterator[PodBackups]:
    """The pod's backups in *place*; `Locked` while another is made there, or the pod deployed, from here."""
    store = open_store(place)
    scope = f"backups {store.where} {account.publisher.address}".lower()
    with alone(account, pod, "backup"), pod_lock(state_dir(), scope, pod, "backup"):
        yield PodBackups(store, pod, account.publisher.secret)


class KnownBackups:
    """A pod's backups beside what this machine knows of the place: the newest does not vanish unseen."""

    def __init__(self, backups: PodBackups, publisher: Address) -> None:
        self.backups, self._publisher = backups, publisher
        self._records = backup_records()

    def newest(self) -> NewestBackup | None:
        """The newest that was made or opened here; it must be there still."""
        return self._records.newest(self._publisher, self.backups.store.where, self.backups.pod)

    def gone(self, names: Sequence[str]) -> NewestBackup | None:
        """The newest that is known, where it is not among *names* and neither is a newer one that opens.

        Another machine that has the key may have made newer ones, and removed what was the newest here.
        """
        known = self.newest()
        if known is None or known.name in names:
            return None
        newer = (name for name in reversed(names) if name > known.name)
        return None if any(self.backups.opens(name) for name in newer) else known

    def opened(self, wanted: str | None) -> StoredBackup:
        """The backup *wanted*, else the newest: Refused (rule `backup-gone`) where a newer one was there."""
        gone = self.gone(self.backups.names()) if wanted is None else None
        if gone is not None:
            raise Refused(
                f"backup {gone.name} of {self.backups.pod} was there and is gone",
                where=self.backups.where,
                rule="backup-gone",
                hint="who keeps the place may have put it back: `--list` shows the others, name one of them",
            )
        found, known = self.backups.backup(wanted), self.newest()
        if known is not None and found.name == known.name and found.digest.hex() != known.digest:
            raise Refused(
                f"backup {known.name} is another than it was", where=self.backups.where, rule="backup-gone"
            )
        self.remember(found)
        return found

    def remember(self, found: StoredBackup) -> None:
        """It is the newest from now on, unless a newer one is known."""
        known = self.newest()
        if known is None or found.name >= known.name:
            self.made(found)

    def made(self, found: StoredBackup) -> None:
        """It was made now: from now on it is the newest, whatever was there before."""
        newest = NewestBackup(name=found.name, digest=found.digest.hex())
        self._records.set_newest(self._publisher, self.backups.store.where, self.backups.pod, newest)
