# SPDX-License-Identifier: Apache-2.0
"""Opening the database: one daemon by file lock, migrations at start, durable writes.

WAL with synchronous FULL: when `Store.write` returns, the change survives a power cut. SQLite
blocks, so both directions run in threads, writes one at a time.
"""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import trio
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event

from trustedpods.protocol.errors import Locked, StoreFailure
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.core.disk import NO_SIZES, DiskSizes
from trustedpods.provider.store.disk import Disk
from trustedpods.provider.store.failures import FULL, translated
from trustedpods.provider.store.vault import Vault

_BUSY_TIMEOUT_S = 10
_MAX_READERS = 4
_MODE = 0o600

LOOK_EVERY_S = 5.0
"""At 100 MB/s a spool takes half a GB meanwhile; a write that fails before frees the reserve at once."""

P = ParamSpec("P")
R = TypeVar("R")

_MIGRATIONS = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class Tx:
    """One transaction: what the functions of this package work on."""

    connection: Connection
    vault: Vault


class Store:
    """The open database. Every call is one transaction, whole or not at all."""

    def __init__(self, engine: Engine, vault: Vault, path: Path, disk: Disk) -> None:
        self._engine = engine
        self._vault = vault
        self._path = path
        self.disk = disk
        """What is known of the disk, from looks and from what failed."""
        self._writing = trio.Lock()
        self._reading = trio.CapacityLimiter(_MAX_READERS)

    async def read(self, query: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *query* over a consistent view. `StoreFailure` when the books cannot be read."""

        def run() -> R:
            with (
                translated("the books cannot be read", self._path),
                self._engine.connect() as connection,
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
        books cannot be written; nothing of the change is in them then.
        """

        def run() -> R:
            with (
                translated("the books cannot be written", self._path),
                self._engine.begin() as connection,
            ):
                return change(Tx(connection, self._vault), *args, **kwargs)

        async with self._writing:
            try:
                try:
                    done = await trio.to_thread.run_sync(run)
                except StoreFailure as error:
                    if error.rule != FULL or not await trio.to_thread.run_sync(self.disk.spend):
                        raise
                    done = await trio.to_thread.run_sync(run)
            except StoreFailure as error:
                self.disk.failed(error, writing=True)
                raise
            self.disk.wrote()
            return done

    async def keep_looking(self) -> None:
        """Look at the disk now and then. Never returns."""
        while True:
            await trio.sleep(LOOK_EVERY_S)
            await trio.to_thread.run_sync(self.disk.look)


@asynccontextmanager
async def open_store(path: Path, vault: Vault, sizes: DiskSizes = NO_SIZES) -> AsyncIterator[Store]:
    """The store at *path*, made or migrated as needed.

    Locked while another daemon has it, `StoreFailure` when it cannot be opened, also with its reserve freed.
    """
    with translated("the books cannot be opened", path):
        private_folder(path.parent)
        lock = open_lock(path.with_name(path.name + ".lock"))
    with _held(lock, path):
        disk = Disk(path.parent, sizes)
        await trio.to_thread.run_sync(disk.look)
        engine = _engine(path)
        try:
            await trio.to_thread.run_sync(_open, engine, path, disk)
            yield Store(engine, vault, path, disk)
        finally:
            engine.dispose()


def _open(engine: Engine, path: Path, disk: Disk) -> None:
    """A start writes a little, and often on a disk that is why the daemon ended."""
    for last in (False, True):
        try:
            with translated("the books cannot be opened", path):
                _make_private(path)
                _migrate(engine)
        except StoreFailure:
            if last or not disk.spend():
                raise
        else:
            return


@contextmanager
def _held(descriptor: int, path: Path) -> Iterator[None]:
    try:
        if not taken(descriptor):
            raise Locked("another daemon has this store open", where=str(path))
        yield
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """The file is made here, before SQLite would by the umask; its -wal and -shm take the file's mode."""
    for beside in ("-wal", "-shm", "-journal"):  # of a daemon that was killed, and was an older one
        with suppress(FileNotFoundError):
            path.with_name(path.name + beside).chmod(_MODE)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
    finally:
        os.close(descriptor)


def _engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _configure)
    return engine


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(engine: Engine) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
