# SPDX-License-Identifier: Apache-2.0
"""`restore`: volumes that wait for it are filled from a backup, before the first container of their replica.

A volume is filled in two steps, each a command in the container that waits there (`seed: {backup: true}`):
the first clears what an attempt before this one left and unpacks, the second moves all into its place and
sets the mark that ends the waiting. So a kill at any place leaves a volume that waits on, and the same
command again fills it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.manifests.check.seeds import FILLED, FILLING_PROGRAM, OWN_PREFIX, SEEDED, SEEDING
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.exec import ExecBody
from trustedpods.publisher.backups.folder import PodBackups, StoredBackup
from trustedpods.publisher.backups.index import BackupPart
from trustedpods.publisher.backups.sources import NOT_RESTORED
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.pods import BackedUpVolume, VisitProgress, VolumeRestoreResult
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.running.exec import make_body, run_in
from trustedpods.publisher.visits.visit import Visit

ASK_EVERY_S = 1.0
"""How often it is tried whether a volume waits by now: a deploy takes a while to come so far."""

MAX_TOLD = 600
"""Bytes of what a command wrote that are told."""

NOT_YET = frozenset({"container", "exec-start", "no-replica", "phase"})
"""Refusals of a command in a replica that is not there yet, or has not come so far."""

ALREADY, NOT_WAITING = 17, 18
"""Exit codes of the first command: the volume is whole already; it does not wait."""

UNPACKED = f"{OWN_PREFIX}unpacked"
"""Where files lie until all of them are there: a backup may have the marks of the volume that it was of."""

UNPACK = f"""
set -eu
cd {FILLED}
[ ! -e {SEEDED} ] || exit {ALREADY}
[ -e {SEEDING} ] || exit {NOT_WAITING}
{FILLING_PROGRAM} find . -mindepth 1 -maxdepth 1 ! -name {SEEDING} ! -name lost+found \
-exec {FILLING_PROGRAM} rm -rf {{}} +
{FILLING_PROGRAM} mkdir {UNPACKED}
{FILLING_PROGRAM} tar -xpo -f - -C {UNPACKED}
{FILLING_PROGRAM} chmod u+rwx {UNPACKED}
"""

MARK = f"""
set -eu
cd {FILLED}
[ -e {SEEDING} ] || exit {NOT_WAITING}
{FILLING_PROGRAM} rm -rf {" ".join(f"{UNPACKED}/{name}" for name in NOT_RESTORED)}
{FILLING_PROGRAM} find {UNPACKED} -mindepth 1 -maxdepth 1 -exec {FILLING_PROGRAM} mv {{}} . ';'
{FILLING_PROGRAM} rmdir {UNPACKED}
{FILLING_PROGRAM} sync -f .
{FILLING_PROGRAM} mv {SEEDING} {SEEDED}
{FILLING_PROGRAM} sync -f .
"""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Which backup (None: the newest) from which folder, and of it which volume and replica (None: all).

    `wait_s`: how long a volume is waited for that does not wait for its backup yet.
    """

    folder: Path
    backup: str | None = None
    volume: str | None = None
    ordinal: int | None = None
    wait_s: float = 300.0


async def restore(
    account: MarketAccount, name: str, options: RestoreOptions, progress: VisitProgress, journal: Journal
) -> VolumeRestoreResult:
    """Fill the volumes of the pod *name* that wait for a backup.

    All of the backup is read once before anything is sent. Raises `BadInput` for a backup that is not whole,
    Refused (rule `no-restore`) where a volume does not wait for one, or cannot be filled.
    """
    store = PodBackups(options.folder, name, account.publisher.secret)
    found = store.backup(options.backup)
    parts = _chosen(found, options, str(options.folder))
    for part in parts:
        await trio.to_thread.run_sync(_check, store, found, part)
    deadline = trio.current_time() + options.wait_s
    while True:
        try:
            async with visit(account, name, progress, journal) as visited:
                for part in parts:
                    await _Filling(visited, store, found, part, deadline).run()
                    journal.event("restored", f"{part.named}: {part.size} bytes")
                break
        except Refused as error:
            if error.rule != "unknown-pod" or trio.current_time() > deadline:
                raise
        await trio.sleep(ASK_EVERY_S)  # its deploy has not paid for it yet
    volumes = tuple(BackedUpVolume(part.volume, part.ordinal, part.size) for part in parts)
    return VolumeRestoreResult(progress.visited(), found.name, volumes)


def _chosen(found: StoredBackup, options: RestoreOptions, where: str) -> list[BackupPart]:
    parts = [
        part
        for part in found.index.parts
        if options.volume in {None, part.volume} and options.ordinal in {None, part.ordinal}
    ]
    if not parts:
        there = ", ".join(part.named for part in found.index.parts)
        raise BadInput(f"backup {found.name} has no such volume; there are: {there}", where=where)
    return parts


def _check(store: PodBackups, found: StoredBackup, part: BackupPart) -> None:
    for _ in store.read(found, part):
        pass


class _Filling:
    """One volume of one replica."""

    def __init__(
        self, visited: Visit, store: PodBackups, found: StoredBackup, part: BackupPart, deadline: float
    ) -> None:
        self._visited, self._store, self._found, self._part = visited, store, found, part
        self._deadline = deadline
        self._told = bytearray()

    async def run(self) -> None:
        """Fill it, as soon as it waits."""
        while True:
            try:
                code = await self._unpack()
                break
            except Refused as error:
                if error.rule not in NOT_YET or trio.current_time() > self._deadline:
                    raise self._never_waited(error) from None
                await trio.sleep(ASK_EVERY_S)
        if code:
            raise self._failed(code)
        if code := await self._run(MARK, None):
            raise self._failed(code)

    async def _unpack(self) -> int:
        self._told.clear()
        pieces = self._store.read(self._found, self._part)
        return await self._run(UNPACK, _Pieces(pieces))

    async def _run(self, script: str, pieces: "_Pieces | None") -> int:
        body = self._body(script, stdin=pieces is not None)
        _, code = await run_in(self._visited, body, None if pieces is None else pieces.read, self._hear)
        return code

    def _body(self, script: str, *, stdin: bool) -> ExecBody:
        ordinal = self._part.ordinal
        return make_body(
            [FILLING_PROGRAM, "sh", "-c", script],
            stdin=stdin,
            container=f"seed-{self._part.volume}",
            replica=None if ordinal is None else str(ordinal),
        )

    async def _hear(self, _stream: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._told.extend(data[: MAX_TOLD - len(self._told)])

    def _never_waited(self, error: Refused) -> Refused:
        return Refused(
            f"{self._part.named} does not wait for a backup: {error.what}",
            rule="no-restore",
            hint="write `seed: {backup: true}` beside its `persistent`, and deploy the file while this waits",
        )

    def _failed(self, code: int) -> Refused:
        whys = {
            ALREADY: "it was filled before, and nothing is written over its files",
            NOT_WAITING: "it had files already, and nothing is written over them",
        }
        said = self._told.decode(errors="replace").strip()
        why = whys.get(code, f"the command that unpacks ended with {code}: {said}")
        return Refused(f"{self._part.named} was not restored: {why}", rule="no-restore")


class _Pieces:
    """A part of a backup as a command's input: read and opened in a thread, piece by piece."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    async def read(self, most: int) -> bytes:
        """The next piece; empty at the end."""
        while not self._rest:
            chunk = await trio.to_thread.run_sync(next, self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        piece, self._rest = self._rest[:most], self._rest[most:]
        return bytes(piece)
