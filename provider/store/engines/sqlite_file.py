# SPDX-License-Identifier: Apache-2.0
"""The books in one file of SQLite's: one daemon by file lock, readable by its user alone.

WAL with synchronous FULL: what is committed survives a power cut.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, event

from trustedpods.protocol.errors import Locked
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.store.engines.migrating import migrate
from trustedpods.provider.store.failures import translated

_BUSY_TIMEOUT_S = 10
_MODE = 0o600


class SqliteFile:
    """Books in the file *path*."""

    on_our_disk = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S})
        event.listen(self.engine, "connect", _configure)

    def open(self) -> None:
        """As the protocol says; the caller holds the lock."""
        _make_private(self._path)
        with self.engine.begin() as connection:
            migrate(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction: SQLite's snapshot begins with its first question.

        It is begun here: Python's driver begins none before a write, and each question would see its own
        moment.
        """
        with self.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    def writing(self) -> AbstractContextManager[Connection]:
        """A transaction; the file's lock keeps other daemons out."""
        return self.engine.begin()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """The lock beside the file; Locked while another daemon has it."""
    with translated("the books cannot be opened", path):
        private_folder(path.parent)
        lock = open_lock(path.with_name(path.name + ".lock"))
    try:
        if not taken(lock):
            raise Locked("another daemon has this store open", where=str(path))
        yield
    finally:
        os.close(lock)


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


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")
