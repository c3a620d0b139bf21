# SPDX-License-Identifier: Apache-2.0
"""The books of one moment as a file of their own, beside a daemon that writes them; and its schema.

SQLite's own backup over one reading transaction: in WAL a reader holds up no writer, and a page that is
written meanwhile does not begin the copy anew.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine

from trustedpods.protocol.errors import StoreFailure
from trustedpods.provider.store.engines import migrating
from trustedpods.provider.store.failures import DAMAGED, translated

BUSY_TIMEOUT_S = 10
"""A daemon that begins or ends has the file for itself for some milliseconds."""

_MODE = 0o600
_SOUND = "ok"


def take(books: Path, copy: Path) -> None:
    """Put the books of this moment at *copy*, which is not there yet; only this user may read it.

    StoreFailure where they cannot be read or written. A kill leaves a part of *copy*.
    """
    with translated("the books cannot be copied", books):
        if not books.is_file():
            raise StoreFailure("there are no books here", where=str(books), rule=DAMAGED)
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        with (
            closing(sqlite3.connect(_address(books), uri=True, timeout=BUSY_TIMEOUT_S)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.execute("BEGIN")
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the moment
            source.backup(target)
            # As it lies in the archive it is one file: no log belongs to it.
            target.execute("PRAGMA journal_mode=DELETE")


def examine(copy: Path) -> str:
    """The schema of the books in *copy*. StoreFailure where they are damaged, or newer than this version."""
    with translated("these books cannot be used", copy):
        with closing(sqlite3.connect(_address(copy), uri=True)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != _SOUND:
            raise StoreFailure(f"the books are damaged: {found}", where=str(copy), rule=DAMAGED)
        engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(_address(copy), uri=True))
        try:
            with engine.connect() as connection:
                schema = migrating.schema_of(connection)
        finally:
            engine.dispose()
        migrating.check(schema)
    if schema is None:
        raise StoreFailure("these are no books of a provider", where=str(copy), rule=DAMAGED)
    return schema


def _address(path: Path) -> str:
    """Of a file that is there: nothing is made where there is none."""
    return f"{path.absolute().as_uri()}?mode=rw"
