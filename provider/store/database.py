# SPDX-License-Identifier: Apache-2.0
"""The open books: one transaction for each call, in threads, writes one at a time.

When `Store.write` returns, the change survives a power cut. What the two databases do differently
is in `engines`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import trio
from sqlalchemy import Connection

from trustedpods.protocol.errors import Locked, StoreFailure
from trustedpods.provider.core.disk import NO_SIZES, DiskSizes, spared
from trustedpods.provider.store.disk import Disk
from trustedpods.provider.store.engines.database import Database
from trustedpods.provider.store.engines.replacing import refuse_unfinished
from trustedpods.provider.store.engines.sqlite_file import SqliteFile, held
from trustedpods.provider.store.engines.writers import OF_WRITERS
from trustedpods.provider.store.failures import FULL, NotCopied, translated
from trustedpods.provider.store.vault import Vault

_MAX_READERS = 4

LOOK_EVERY_S = 5.0
"""At 100 MB/s a spool takes half a GB meanwhile; a write that fails before frees the reserve at once."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: what the functions of this package work on."""

    connection: Connection
    vault: Vault


class Store:
    """The open database. Every call is one transaction, whole or not at all."""

    def __init__(self, books: Database, vault: Vault, disk: Disk) -> None:
        self._books = books
        self._engine = books.engine
        self._vault = vault
        self.disk = disk
        """What is known of the disk, from looks and from what failed."""
        self._writing = trio.Lock()
        self._reading = trio.CapacityLimiter(_MAX_READERS)
        self._written_by = trio.CapacityLimiter(1)  # of its own: others' slow threads never hold up the books
        self._lost: Locked | None = None
        self._ended = trio.Event()

    async def read(self, query: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *query* over a consistent view. `StoreFailure` when the books cannot be read."""

        def run() -> R:
            with (
                translated("the books cannot be read", self._books.name),
                self._books.reading() as connection,
            ):
                return query(Tx(connection, self._vault), *args, **kwargs)

        try:
            return await trio.to_thread.run_sync(run, limiter=self._reading)
        except StoreFailure as error:
            self.disk.failed(error, writing=False)
            raise

    async def write(self, change: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *change* and commit it; an exception inside undoes all of it.

        On a full disk the reserve is freed, and the change is tried once more. `StoreFailure` when the
        books cannot be written; nothing of the change is in them then. Locked when another daemon
        took them over: then and ever after.
        """

        def run() -> R:
            with (
                translated("the books cannot be written", self._books.name),
                self._books.writing() as connection,
            ):
                return change(Tx(connection, self._vault), *args, **kwargs)

        async with self._writing:
            self._check_held()
            try:
                done = await self._written(run)
            except StoreFailure as error:
                self.disk.failed(error, writing=True)
                raise
            except Locked as error:
                if error.rule in OF_WRITERS:
                    self._lost = error
                    self._ended.set()
                raise
            self.disk.wrote()
            return done

    async def _written(self, run: Callable[[], R]) -> R:
        try:
            return await trio.to_thread.run_sync(run, limiter=self._written_by)
        except StoreFailure as error:
            if error.rule != FULL or not self._books.on_our_disk:
                raise
            if not await trio.to_thread.run_sync(self.disk.spend, limiter=self._written_by):
                raise
            return await trio.to_thread.run_sync(run, limiter=self._written_by)

    def _check_held(self) -> None:
        if self._lost is not None:
            lost = self._lost
            raise Locked(lost.what, where=lost.where, hint=lost.hint, rule=lost.rule)

    async def until_lost(self) -> None:
        """Wait until another daemon has the books, and raise it as Locked: this daemon has to end."""
        await self._ended.wait()
        self._check_held()

    async def keep_looking(self) -> None:
        """Look at the disk now and then. Never returns."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            await trio.to_thread.run_sync(self.disk.look)


@asynccontextmanager
async def open_store(
    path: Path, vault: Vault, sizes: DiskSizes = NO_SIZES, going_on: Callable[[], None] = lambda: None
) -> AsyncIterator[Store]:
    """The store in the file *path*, made or migrated as needed; *going_on* is called while that takes long.

    Locked while another daemon has it, `StoreFailure` when it cannot be opened, also with its reserve freed,
    or when a restore of it was killed.
    """
    with held(path):
        refuse_unfinished(path)
        books = SqliteFile(path, spare=spared(sizes), going_on=going_on)
        async with open_books(books, path.parent, vault, sizes) as store:
            yield store


@asynccontextmanager
async def open_books(
    books: Database, folder: Path, vault: Vault, sizes: DiskSizes = NO_SIZES
) -> AsyncIterator[Store]:
    """The store in *books*; *folder* is on the disk that is looked at, where the spool is too."""
    disk = Disk(folder, sizes)
    await trio.to_thread.run_sync(disk.look)
    try:
        await trio.to_thread.run_sync(_open, books, disk)
        yield Store(books, vault, disk)
    finally:
        books.engine.dispose()


def _open(books: Database, disk: Disk) -> None:
    """A start writes a little, and often on a disk that is why the daemon ended.

    A migration's copy can wait until there is room for it: the reserve is not for it.
    """
    for last in (False, True):
        try:
            with translated("the books cannot be opened", books.name):
                books.open()
        except NotCopied:
            raise
        except StoreFailure:
            if last or not books.on_our_disk or not disk.spend():
                raise
        else:
            return
