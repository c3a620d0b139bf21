# SPDX-License-Identifier: Apache-2.0
"""`state migrate`, `state backup`, `state restore`: a state's schema, and a copy of it on one's own disk."""

import time
from pathlib import Path

import trio

from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.backups import MAX_BACKUP, Backup, read_backup, to_backup
from trustedpods.protocol.networks.content import Migration, NetworkContent
from trustedpods.protocol.networks.documents import Document, is_absurd
from trustedpods.protocol.networks.members import MemberChange, NetworkName
from trustedpods.protocol.networks.migrations import SCHEMA, missing
from trustedpods.protocol.networks.sealed_documents import parse_body
from trustedpods.publisher.core.networks.differences import differences
from trustedpods.publisher.core.networks.history import DONE, holds_all
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Publisher
from trustedpods.publisher.networks.recording import RecordedChange
from trustedpods.publisher.networks.states import UNREADABLE, MemberView, in_new_epoch, read_state
from trustedpods.publisher.results.networks import BackupResult, MigrateResult, RestoreResult
from trustedpods.publisher.state.files import write_whole
from trustedpods.publisher.verbs.networks.documents.changing import (
    changing,
    name_of,
    opened_view,
    read_view,
)
from trustedpods.publisher.verbs.networks.documents.unreadable import restore_over
from trustedpods.publisher.verbs.networks.opening import check_all_named
from trustedpods.publisher.verbs.networks.places import NetworkPlace


async def backup(account: MarketAccount, place: NetworkPlace, file: Path, journal: Journal) -> BackupResult:
    """Keep the state that counts now in *file*, sealed as it is to its team, signed. No lease is needed.

    Raises BadInput where the file is there already or cannot be written, else as `history`.
    """
    network, view = await read_view(account, place, journal)
    await _keep(account.publisher, view.document, file)
    return BackupResult(network, file, view.document)


async def migrate(
    account: MarketAccount, place: NetworkPlace, file: Path | None, wait_s: float, journal: Journal
) -> MigrateResult:
    """Bring the state to this version's schema, after a backup to *file*; None only says what it would do.

    Raises BadInput, Locked, NetworkFailure, CopiesDiffer; Refused (rule `role`) for one who is no owner,
    (rule `schema`) where a newer version wrote the state: there is no way back.
    """
    if file is None:
        network, view = await read_view(account, place, journal)
        return MigrateResult(network, _steps(view), view.read.schema_version, SCHEMA, None)
    async with changing(account, place, "state migrate", [("--backup", str(file))], wait_s, journal) as (
        network,
        change,
    ):
        view = change.state or opened_view(account, network, change.document)
        steps, before = _steps(view), view.read.schema_version
        if steps:
            await _keep(account.publisher, view.document, file)
            await change.write(_migrated(account.publisher, view), result=DONE)
        return MigrateResult(network, steps, before, SCHEMA, change.document)


async def restore(
    account: MarketAccount,
    place: NetworkPlace,
    file: Path,
    journal: Journal,
    *,
    go_back: bool = False,
    wait_s: float = 0.0,
) -> RestoreResult:
    """Let the state of a backup be the network's next one; where clusters keep nothing, its first one.

    A state that counts already is left. What would undo changes that the backup does not know is Refused
    (rule `go-back`) without *go_back*; the history of what is undone, and the present team, stay then.
    One that no member can read an owner lets the backup's follow, with *go_back*. Raises BadInput for a
    file that is no backup of this network, else as `migrate`.
    """
    kept = await trio.to_thread.run_sync(_read, file)
    try:
        return await _restored_as_next(account, place, file, kept, wait_s, journal, go_back=go_back)
    except TrustedPodsError as error:
        if error.rule not in (UNREADABLE, "members"):
            raise
        founder = place.founder or account.publisher.address
        saved = read_state(account.publisher, NetworkName(founder, place.name), kept.document)
        content = _migrated(account.publisher, saved)
        return await restore_over(
            account, place, saved, content, wait_s, journal, go_back=go_back, failed=error
        )


async def _restored_as_next(
    account: MarketAccount,
    place: NetworkPlace,
    file: Path,
    kept: Backup,
    wait_s: float,
    journal: Journal,
    *,
    go_back: bool,
) -> RestoreResult:
    given = [("file", str(file)), *([("--go-back", "")] if go_back else [])]
    opening = changing(account, place, "state restore", given, wait_s, journal, founding=True)
    async with opening as (network, change):
        if parse_body(kept.body).network != name_of(network):
            raise BadInput(f"it is a backup of {parse_body(kept.body).network}", where=str(file))
        saved = read_state(account.publisher, name_of(network), kept.document)
        present = change.state
        if present is None:
            check_all_named(saved, place.clusters)
        found = differences(None if present is None else present.content, saved.content)
        if present is None or present.document != saved.document or _is_absurd(present):
            await _restored(account.publisher, change, saved, found, go_back=go_back)
        return RestoreResult(network, saved.document, change.document, found)


async def _restored(
    publisher: Publisher, change: RecordedChange, saved: MemberView, found: tuple[str, ...], *, go_back: bool
) -> None:
    present, content = change.state, _migrated(publisher, saved)
    if present is None:
        await change.write(in_new_epoch(content), result=DONE, members_of=saved)
        return
    present.read.writable()
    if not _goes_forward(present, saved):
        if not go_back:
            told = "; ".join(found) or "what is later would be undone"
            raise Refused(
                f"the backup holds generation {saved.document.generation} of {saved.network}, and "
                f"{present.document.generation} counts: {told}",
                rule="go-back",
                hint="--go-back takes the backup's all the same; take a backup of the present state first",
            )
        kept = {
            name: getattr(present.content, name)
            for name in ("metadata", "clusters", "links", "history", "dropped")
        }
        content = content.model_copy(update=kept)
    content = in_new_epoch(content, present.content, saved.content)
    await change.write(content, changes=_later(present, saved), cards=saved.body.cards, result=DONE)


def _is_absurd(view: MemberView) -> bool:
    """Whether nothing but a restore can follow: the state that counts, backed up, begins a sane epoch."""
    return is_absurd(view.content.metadata.epoch, int(time.time()))


def _goes_forward(present: MemberView, saved: MemberView) -> bool:
    """Whether *saved* came after *present*. Clusters that were empty count from 1 anew: history decides."""
    newer = present.document.generation < saved.document.generation or present.document == saved.document
    return newer and holds_all(saved.content, present.content)


def _later(present: MemberView, saved: MemberView) -> list[MemberChange]:
    """The changes of members that only the backup knows. Refused (rule `members`) where the two fork."""
    ours, theirs = present.body.changes, saved.body.changes
    common = min(len(ours), len(theirs))
    if ours[:common] != theirs[:common]:
        raise Refused(f"the team of the backup of {saved.network} is another one", rule="members")
    return list(theirs[common:])


def _steps(view: MemberView) -> tuple[str, ...]:
    if view.read.schema_version > SCHEMA:
        view.read.writable()
    return tuple(f"schema {step.to}: {step.what}" for step in missing(view.read.schema_version))


def _migrated(publisher: Publisher, view: MemberView) -> NetworkContent:
    """The content of *view*, which says that it was migrated if it was."""
    if view.read.schema_version >= SCHEMA:
        return view.read.writable()
    migration = Migration(
        migrated_at=int(time.time()),
        migrated_by=address_bytes(publisher.address),
        from_version=view.read.schema_version,
    )
    metadata = view.content.metadata.model_copy(update={"migration": migration})
    return view.content.model_copy(update={"metadata": metadata})


async def _keep(publisher: Publisher, document: Document, file: Path) -> None:
    data = to_backup(publisher.key, document, int(time.time()))
    await trio.to_thread.run_sync(_write, file, data)


def _write(file: Path, data: bytes) -> None:
    if file.exists():
        raise BadInput(f"{file} is there already", where=str(file), hint="a backup replaces no file")
    try:
        write_whole(file, data)
    except OSError as error:
        raise BadInput(f"the backup cannot be written: {error.strerror or error}", where=str(file)) from error


def _read(file: Path) -> Backup:
    try:
        if file.stat().st_size > MAX_BACKUP:
            raise BadInput(f"{file} is larger than any backup", where=str(file))
        return read_backup(file.read_bytes())
    except OSError as error:
        raise BadInput(f"the backup cannot be read: {error.strerror or error}", where=str(file)) from error
