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

from trustedpods.protocol.errors import Locked
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.store.vault import Vault

_BUSY_TIMEOUT_S = 10
_MAX_READERS = 4
_MODE = 0o600
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

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._writing = trio.Lock()
        self._reading = trio.CapacityLimiter(_MAX_READERS)

    async def read(self, query: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *query* over a consistent view."""

        def run() -> R:
            with self._engine.connect() as connection:
                return query(Tx(connection, self._vault), *args, **kwargs)

        return await trio.to_thread.run_sync(run, limiter=self._reading)

    async def write(self, change: Callable[Concatenate[Tx, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run *change* and commit it; an exception inside undoes all of it."""

        def run() -> R:
            with self._engine.begin() as connection:
                return change(Tx(connection, self._vault), *args, **kwargs)

        async with self._writing:
            return await trio.to_thread.run_sync(run)


@asynccontextmanager
async def open_store(path: Path, vault: Vault) -> AsyncIterator[Store]:
    """The store at *path*, made or migrated as needed; Locked while another daemon has it."""
    private_folder(path.parent)
    with _locked(path):
        _make_private(path)
        engine = _engine(path)
        try:
            await trio.to_thread.run_sync(_migrate, engine)
            yield Store(engine, vault)
        finally:
            engine.dispose()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = open_lock(path.with_name(path.name + ".lock"))
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
