# SPDX-License-Identifier: Apache-2.0
"""`backup`: the volumes of a pod that runs, read by commands in it, sealed here, and kept in a store."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.ids import channel_hex
from trustedpods.publisher.backups.making import NewBackup, NewPart, begin
from trustedpods.publisher.backups.pod_backups import StoredBackup
from trustedpods.publisher.backups.records import LastBackup
from trustedpods.publisher.backups.sources import (
    Sources,
    VolumeSource,
    reading,
    reading_without,
    sources,
)
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.backups.volumes import (
    BackedUpVolume,
    DamagedBackup,
    VolumeBackupResult,
    VolumeBackupsResult,
)
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.backups.places import (
    KnownBackups,
    backup_records,
    held_alone,
    known_place,
    scope_of,
)
from trustedpods.publisher.verbs.offers.planned import kept_bundle, manifest_in
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.running.exec import make_body, run_in
from trustedpods.publisher.visits.visit import Mend, Visit

MAX_TOLD = 600
"""Bytes of what a command wrote to its errors that are told: its first words say why."""

RESUME_WITHIN_S = 60.0
"""What was quiesced is resumed within this, also after an error, or it is said that it was not."""


@dataclass(frozen=True, slots=True)
class BackupOptions:
    """What is backed up and how; see `sources`, and `docs/backup.md`.

    `store` is a place (`backups.places`), None for that of the pod's schedule or of its last backup.
    `quiesce` and `resume` are commands in the container that is read, around each replica's volumes.
    `keep` is how many backups are left, None for all of them.
    """

    store: str | None = None
    volumes: Sequence[str] = ()
    container: str | None = None
    exclude: Sequence[str] = ()
    quiesce: Sequence[str] = ()
    resume: Sequence[str] = ()
    keep: int | None = None


async def backup(
    account: MarketAccount,
    name: str,
    options: BackupOptions,
    progress: VisitProgress,
    journal: Journal,
    mend: Mend = "release",
) -> VolumeBackupResult:
    """Make a backup of the pod *name*, whole or none; older ones go only after that. *mend*: see `visit`.

    Raises Refused (rule `no-backup`) where nothing can be backed up or a command failed, `Locked` while
    another backup or a deploy of the pod is under way on this machine, `StoreFailure` for a store that cannot
    be written, `BadInput` for a place that is none.
    """
    place = known_place(scope_of(account), name, options.store)
    with held_alone(account, name, place) as backups:
        known = KnownBackups(backups, account.publisher.address)
        async with visit(account, name, progress, journal, mend=mend) as visited:
            wanted = sources(await _manifest(visited), options.volumes, options.container)
            maker = backup_records().maker()
            new = await trio.to_thread.run_sync(begin, backups, maker, int(time.time()))
            for ordinal in wanted.ordinals:
                async with _quiesced(visited, wanted, ordinal, options):
                    for source in wanted.volumes:
                        await _take(visited, source, ordinal, options, new, journal)
        made = await trio.to_thread.run_sync(lambda: new.finish(int(time.time())))
        known.made(made)
        _keep_record(account, name, place, made)
        removed = []
        if options.keep is not None:
            removed = await trio.to_thread.run_sync(backups.keep, options.keep)
    journal.event("backup", f"{name}: backup {made.name}, {made.size} bytes")
    return _result(name, made, wanted.left_out, removed)


def _keep_record(account: MarketAccount, name: str, place: str, made: StoredBackup) -> None:
    records, index = backup_records(), made.index
    last = LastBackup(store=place, name=made.name, began=index.began, ended=index.ended, size=made.size)
    record = records.load(scope_of(account), name)
    records.save(record.model_copy(update={"last": last, "failed": None, "begun": None}))


def listed(known: KnownBackups) -> VolumeBackupsResult:
    """The backups of the pod, oldest first; apart those that do not open, or that were there and are gone."""
    sound: list[VolumeBackupResult] = []
    damaged: list[DamagedBackup] = []
    backups = known.backups
    names = backups.names()
    gone = known.gone(names)
    for one in names:
        try:
            sound.append(_result(backups.pod, backups.named(one)))
        except BadInput as error:
            damaged.append(DamagedBackup(one, f"does not open: {error.what}"))
    if gone is not None:
        damaged.append(DamagedBackup(gone.name, "was there and is gone"))
    return VolumeBackupsResult(backups.pod, tuple(sound), tuple(damaged))


def verified(known: KnownBackups, chosen: str | None) -> VolumeBackupsResult:
    """Every byte of the backup *chosen*, else of the newest, is what was sealed.

    BadInput where it is not; Refused (rule `backup-gone`) where a newer one than the newest was there.
    """
    found = known.opened(chosen)
    for part in found.index.parts:
        for _ in known.backups.read(found, part):
            pass
    return VolumeBackupsResult(known.backups.pod, (_result(known.backups.pod, found),), verified=True)


async def _manifest(visited: Visit) -> PodManifest:
    channel = channel_hex(visited.location.ref.channel)
    kept = kept_bundle(visited.account, channel, await visited.status(), visited.journal)
    manifest = None if kept is None else manifest_in(kept)
    if manifest is None:
        raise Refused(
            "this machine does not know the version that serves: which volumes it has stands in its manifest",
            rule="no-backup",
            hint="make backups where the pod was deployed last, or deploy its file from here",
        )
    return manifest


@asynccontextmanager
async def _quiesced(
    visited: Visit, wanted: Sources, ordinal: int | None, options: BackupOptions
) -> AsyncIterator[None]:
    """The replica stands still for the block, as far as its publisher's commands see to it."""
    container = wanted.volumes[0].container
    try:
        if options.quiesce:
            await _command(visited, options.quiesce, container, ordinal, "--quiesce")
        yield
    finally:
        if options.resume:
            with trio.CancelScope(shield=True), trio.move_on_after(RESUME_WITHIN_S) as limit:
                try:
                    await _command(visited, options.resume, container, ordinal, "--resume")
                except TrustedPodsError as error:
                    visited.journal.show.warning(f"the replica may still stand still: {error}")
            if limit.cancelled_caught:
                text = f"the replica may still stand still: no answer in {RESUME_WITHIN_S:g} s"
                visited.journal.show.warning(text)


async def _take(
    visited: Visit,
    source: VolumeSource,
    ordinal: int | None,
    options: BackupOptions,
    new: NewBackup,
    journal: Journal,
) -> None:
    part = new.part(source.volume, ordinal)
    try:
        await _read(visited, source, ordinal, options.exclude, part)
        done = await trio.to_thread.run_sync(part.end)
    except Refused as error:
        if error.rule == "exec-start":
            hint = "name another container with --container: one with tar, which mounts the volume"
            raise Refused(
                f"no tar in {source.container}: {error.what}", rule="no-backup", hint=hint
            ) from None
        raise
    new.add(done)
    journal.event("volume", f"{done.named}: {done.size} bytes")


async def _read(
    visited: Visit, source: VolumeSource, ordinal: int | None, exclude: Sequence[str], part: NewPart
) -> None:
    """Have tar write the volume into *part*; one that cannot leave files out is asked for all of them."""

    async def run(command: Sequence[str]) -> tuple[int, bytes]:
        errors = bytearray()

        async def write(stream: str, data: bytes) -> None:
            if stream == "stdout":
                await trio.to_thread.run_sync(part.write, data)
            else:
                errors.extend(data[: MAX_TOLD - len(errors)])

        body = make_body(command, stdin=False, container=source.container, replica=_replica(ordinal))
        _, code = await run_in(visited, body, None, write)
        return code, bytes(errors)

    code, said = await run(reading_without(source, exclude))
    if code and b"unrecognized option" in said and part.size == 0 and not exclude:
        code, said = await run(reading(source))
    if code:
        raise _failed(f"tar in container {source.container} ended with {code}", said, code)


async def _command(
    visited: Visit, words: Sequence[str], container: str, ordinal: int | None, flag: str
) -> None:
    errors = bytearray()

    async def write(_stream: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        errors.extend(data[: MAX_TOLD - len(errors)])

    body = make_body(words, stdin=False, container=container, replica=_replica(ordinal))
    _, code = await run_in(visited, body, None, write)
    if code:
        raise _failed(f"the command of {flag} ended with {code}", bytes(errors), code)


def _failed(what: str, errors: bytes, code: int) -> Refused:
    said = errors.decode(errors="replace").strip()
    hint = "files that change while they are read: --quiesce CMD lets the program stand still"
    changed = code == 1 and "changed" in said
    return Refused(f"{what}: {said}" if said else what, rule="no-backup", hint=hint if changed else None)


def _replica(ordinal: int | None) -> str | None:
    return None if ordinal is None else str(ordinal)


def volumes_of(made: StoredBackup) -> tuple[BackedUpVolume, ...]:
    """What a backup holds, as it is told."""
    return tuple(BackedUpVolume(part.volume, part.ordinal, part.size) for part in made.index.parts)


def _result(
    pod: str, made: StoredBackup, left_out: Sequence[str] = (), removed: Sequence[str] = ()
) -> VolumeBackupResult:
    return VolumeBackupResult(
        pod, made.name, made.index.began, made.index.ended, volumes_of(made), tuple(left_out), tuple(removed)
    )
