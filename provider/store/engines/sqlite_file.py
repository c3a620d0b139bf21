# SPDX-License-Identifier: Apache-2.0
"""The books in one file of SQLite's: one daemon by file lock, readable by its user alone.

WAL with synchronous FULL: what is committed survives a power cut. Before a migration they are copied.
"""

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, event

from trustedpods.protocol.errors import Locked
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.store.engines import kept_copy, migrating
from trustedpods.provider.store.failures import NewerSchema, translated

_log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 10
_MODE = 0o600

OPERATIONS = 10_000_000
"""Of SQLite's machine: a migration tells that it goes on after each some tenths of a second."""

_GO_BACK = (
    "start the version that wrote them, or a newer one; {copy} is from before their migration, without "
    "what was counted since: docs/operator.md tells how to go back to it"
)


class SqliteFile:
    """Books in the file *path*."""

    on_our_disk = True

    def __init__(
        self,
        path: Path,
        *,
        spare: int = 0,
        going_on: Callable[[], None] = lambda: None,
        operations: int = OPERATIONS,
    ) -> None:
        """What a migration copies leaves *spare* bytes free.

        *going_on* is called while one goes on: after each 64 MiB of the copy, and each so many *operations*.
        """
        self._path, self._spare, self._going_on, self._operations = path, spare, going_on, operations
        self.name = str(path)
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": _BUSY_TIMEOUT_S})
        event.listen(self.engine, "connect", _configure)

    def open(self) -> None:
        """As the protocol says; the caller holds the lock."""
        _make_private(self._path)
        with self.engine.connect() as connection:
            schema = migrating.schema_of(connection)
        self._refuse_newer(schema)
        if schema == migrating.newest_schema():
            return
        if schema is None:
            self._migrate()
            return
        copy = kept_copy.make(self._path, schema, self._spare, self._going_on)
        self._migrate()
        kept_copy.remove_others(copy, self._path)
        _log.warning(
            "the books had schema %s: they were migrated, and as they were they are %s", schema, copy
        )

    def _migrate(self) -> None:
        """All scripts or none: by itself Python's driver begins no transaction before a table is changed."""
        with self.engine.begin() as connection:
            driver = connection.connection.driver_connection
            assert isinstance(driver, sqlite3.Connection)
            driver.set_progress_handler(self._going_on, self._operations)
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                migrating.migrate(connection)
            finally:
                driver.set_progress_handler(None, 0)

    def _refuse_newer(self, schema: str | None) -> None:
        """The reason, and the copy from which this version can go on."""
        try:
            migrating.check(schema)
        except NewerSchema as error:
            usable = [copy for copy in kept_copy.copies(self._path) if copy <= self._copy(error.newest)]
            if usable:
                error.hint = _GO_BACK.format(copy=usable[-1])
            raise

    def _copy(self, schema: str) -> Path:
        return kept_copy.place(self._path, schema)

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
