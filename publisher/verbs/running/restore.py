# SPDX-License-Identifier: Apache-2.0
"""`restore`: volumes that wait for it are filled from a backup, before the first container of their replica.

A volume is filled in two steps, each a command in the container that waits there (`seed: {backup: true}`):
the first clears what an attempt before this one left and unpacks, the second moves all into its place and
sets the mark that ends the waiting. So a kill at any place leaves a volume that waits on, and the same
command again fills it, and those that were not filled yet. An attempt unpacks in a place of its own, so of
two at once the later one goes on, and the earlier one fails.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import trio

from trustedpods.manifests.check.seeds import FILLED, FILLING_PROGRAM, OWN_PREFIX, SEEDED, SEEDING
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.messages.exec import ExecBody
from trustedpods.publisher.backups.index import BackupPart
from trustedpods.publisher.backups.places import open_store
from trustedpods.publisher.backups.pod_backups import PodBackups, StoredBackup
from trustedpods.publisher.backups.sources import NOT_RESTORED
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.backups.volumes import BackedUpVolume
from trustedpods.publisher.results.pods import VisitProgress, VolumeRestoreResult
from trustedpods.publisher.verbs.backups.places import KnownBackups, known_place, scope_of
from trustedpods.publisher.verbs.pods import visit
from trustedpods.publisher.verbs.running.exec import make_body, run_in
from trustedpods.publisher.visits.visit import Visit

ASK_EVERY_S = 1.0
"""How often it is tried whether a volume waits by now: a deploy takes a while to come so far."""

MAX_TOLD = 600
"""Bytes of what a command wrote that are told."""

NOT_YET = frozenset({"container", "exec-start", "no-replica", "phase"})
"""Refusals of a command in a replica that is not there yet, or has not come so far."""

ALREADY, NOT_WAITING, OVERTAKEN = 17, 18, 19
"""Exit codes: the volume is whole already; it does not wait; another attempt has begun since."""

_UNPACKED = f"{OWN_PREFIX}unpacked"
"""Where files lie until all of them are there: a backup may have the marks of the volume that it was of."""

_UNPACK = f"""
set -eu
cd {FILLED}
[ ! -e {SEEDED} ] || exit {ALREADY}
[ -e {SEEDING} ] || exit {NOT_WAITING}
{FILLING_PROGRAM} find . -mindepth 1 -maxdepth 1 ! -name {SEEDING} ! -name lost+found \
-exec {FILLING_PROGRAM} rm -rf {{}} +
{FILLING_PROGRAM} mkdir {_UNPACKED}
{FILLING_PROGRAM} tar -xpo -f - -C {_UNPACKED}
{FILLING_PROGRAM} chmod u+rwx {_UNPACKED}
"""

_MARK = f"""
set -eu
cd {FILLED}
[ -e {SEEDING} ] || exit {NOT_WAITING}
[ -d {_UNPACKED} ] || exit {OVERTAKEN}
{FILLING_PROGRAM} rm -rf {" ".join(f"{_UNPACKED}/{name}" for name in NOT_RESTORED)}
{FILLING_PROGRAM} find {_UNPACKED} -mindepth 1 -maxdepth 1 -exec {FILLING_PROGRAM} mv {{}} . ';'
{FILLING_PROGRAM} rmdir {_UNPACKED}
{FILLING_PROGRAM} sync -f .
{FILLING_PROGRAM} mv {SEEDING} {SEEDED}
{FILLING_PROGRAM} sync -f .
"""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """Which backup (None: the newest) from which place, and of it which volume and replica (None: all).

    `store` is None for the place of the pod's schedule or of its last backup from here.

    `wait_s`: how long it is waited, without one volume being filled, for those that do not wait for it yet.
    `channel`: which pod of that name, by its channel's id, where another one has money under it too.
    """

    store: str | None = None
    backup: str | None = None
    volume: str | None = None
    ordinal: int | None = None
    wait_s: float = 300.0
    channel: str | None = None


async def restore(
    account: MarketAccount, name: str, options: RestoreOptions, progress: VisitProgress, journal: Journal
) -> VolumeRestoreResult:
    """Fill the volumes of the pod *name* that wait for a backup; those that it filled are in the result.

    All of the backup is read once before anything is sent. Raises `BadInput` for a backup that is not whole,
    Refused (rule `no-restore`) where none waits for one, or one cannot be filled, and (rule `backup-gone`)
    where a newer backup than the newest was there.
    """
    place = known_place(scope_of(account), name, options.store)
    store = PodBackups(open_store(place), name, account.publisher.secret)
    known = KnownBackups(store, account.publisher.address)
    found = await trio.to_thread.run_sync(known.opened, options.backup, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
    parts = _chosen(found, options, store.where)
    for part in parts:
        await trio.to_thread.run_sync(_check, store, found, part, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
    waiting = _Waiting(options.wait_s)
    while True:
        try:
            async with visit(account, options.channel or name, progress, journal) as visited:
                await _fill(
                    visited, [_Filling(visited, store, found, part) for part in parts], waiting, journal
                )
                break
        except Refused as error:
            if error.rule != "unknown-pod" or waiting.over:
                raise
        await trio.sleep(ASK_EVERY_S)  # its deploy has not paid for it yet
    volumes = tuple(BackedUpVolume(part.volume, part.ordinal, part.size) for part in waiting.filled)
    return VolumeRestoreResult(progress.visited(), found.name, volumes)


class _Waiting:
    """What was filled, over all visits, and how long the next one is waited for."""

    def __init__(self, wait_s: float) -> None:
        self.filled: list[BackupPart] = []
        self._wait_s = wait_s
        self.begin()

    def begin(self) -> None:
        """From now on, as something was done."""
        self._end = trio.current_time() + self._wait_s

    @property
    def over(self) -> bool:
        """Nothing was filled for that long."""
        return trio.current_time() > self._end


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


async def _fill(visited: Visit, fillings: Sequence["_Filling"], waiting: _Waiting, journal: Journal) -> None:
    """Fill each as soon as it waits, in any order: one waits only when those before it are filled.

    An attempt before this one may have filled some; they are left when the pod serves.
    """
    left = list(fillings)
    while left:
        done = [one for one in left if await one.settled(waiting, journal)]
        left = [one for one in left if one not in done]
        if done:
            waiting.begin()
        elif len(left) < len(fillings) and (await visited.status()).phase == "serving":
            break
        elif waiting.over:
            raise left[0].never_waited()
        else:
            await trio.sleep(ASK_EVERY_S)
    if not waiting.filled:
        raise fillings[0].failed(ALREADY)


class _Filling:
    """One volume of one replica."""

    def __init__(self, visited: Visit, store: PodBackups, found: StoredBackup, part: BackupPart) -> None:
        self.part = part
        self._visited, self._store, self._found = visited, store, found
        self._own = f"{_UNPACKED}-{secrets.token_hex(8)}"
        self._told = bytearray()
        self._why = ""

    async def settled(self, waiting: _Waiting, journal: Journal) -> bool:
        """Fill it if it waits; False where it is not there yet. `Refused` where it cannot be filled."""
        self._told.clear()
        pieces = self._store.read(self._found, self.part)
        try:
            code = await self._run(_UNPACK, _Pieces(pieces))
        except Refused as error:
            self._why = error.what
            if error.rule in NOT_YET:
                return False
            raise self.never_waited() from None
        code = code or await self._run(_MARK, None)
        if code not in (0, ALREADY):
            raise self.failed(code)
        if code != ALREADY:
            waiting.filled.append(self.part)
            journal.event("restored", f"{self.part.named}: {self.part.size} bytes")
        return True

    async def _run(self, script: str, pieces: "_Pieces | None") -> int:
        body = self._body(script.replace(_UNPACKED, self._own), stdin=pieces is not None)
        _, code = await run_in(self._visited, body, None if pieces is None else pieces.read, self._hear)
        return code

    def _body(self, script: str, *, stdin: bool) -> ExecBody:
        ordinal = self.part.ordinal
        return make_body(
            [FILLING_PROGRAM, "sh", "-c", script],
            stdin=stdin,
            container=f"seed-{self.part.volume}",
            replica=None if ordinal is None else str(ordinal),
        )

    async def _hear(self, _stream: str, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._told.extend(data[: MAX_TOLD - len(self._told)])

    def never_waited(self) -> Refused:
        """It did not wait in time, and the last answer says why."""
        return Refused(
            f"{self.part.named} does not wait for a backup: {self._why}",
            rule="no-restore",
            hint="write `seed: {backup: true}` beside its `persistent`, and deploy the file while this waits",
        )

    def failed(self, code: int) -> Refused:
        """What the command's *code* says of the volume."""
        whys = {
            ALREADY: "it was filled before, and nothing is written over its files",
            NOT_WAITING: "it had files already, and nothing is written over them",
            OVERTAKEN: "another `restore` of it has begun since, and goes on",
        }
        said = self._told.decode(errors="replace").strip()
        why = whys.get(code, f"the command that unpacks ended with {code}: {said}")
        return Refused(f"{self.part.named} was not restored: {why}", rule="no-restore")


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
