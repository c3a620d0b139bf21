# SPDX-License-Identifier: Apache-2.0
"""SQLite's and the disk's troubles as our one error; what is a bug here stays what it is."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from trustedpods.protocol.errors import StoreFailure

FULL, IO, READ_ONLY, DAMAGED, BUSY, NEWER = (
    "store-full",
    "store-io",
    "store-read-only",
    "store-damaged",
    "store-busy",
    "store-newer",
)
"""Rules of `StoreFailure`, and the metric's labels."""

_HINTS = {
    FULL: "make room on this disk",
    IO: "look at the disk (`dmesg`), and whether it is mounted",
    READ_ONLY: "the daemon's user must be able to write there, and the disk to be mounted for writing",
    DAMAGED: "stop the daemon and put back a copy of the books (docs/operator.md)",
    BUSY: "another process holds the database: end it",
    NEWER: "start the version that wrote it, or a newer one",
}

_OF_SQLITE = {
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_IOERR: IO,
    sqlite3.SQLITE_CANTOPEN: IO,
    sqlite3.SQLITE_NOLFS: IO,
    sqlite3.SQLITE_READONLY: READ_ONLY,
    sqlite3.SQLITE_PERM: READ_ONLY,
    sqlite3.SQLITE_AUTH: READ_ONLY,
    sqlite3.SQLITE_CORRUPT: DAMAGED,
    sqlite3.SQLITE_NOTADB: DAMAGED,
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
}
"""By the primary code, the low byte of an extended one (sqlite.org/rescode.html)."""

_PRIMARY = 0xFF

_OF_SYSTEM = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
}


@contextmanager
def translated(what: str, path: Path) -> Iterator[None]:
    """The one place where errors of the books, the spool and their disk become ours."""
    try:
        yield
    except DBAPIError as error:
        rule = _rule_of(error.orig)
        if rule is None:
            raise
        raise _failure(what, str(error.orig), path, rule) from error
    except sqlite3.Error as error:
        rule = _rule_of(error)
        if rule is None:
            raise
        raise _failure(what, str(error), path, rule) from error
    except CommandError as error:
        raise _failure(what, "a newer version wrote them", path, NEWER) from error
    except OSError as error:
        rule = _OF_SYSTEM.get(error.errno or 0, IO)
        raise _failure(what, error.strerror or str(error), path, rule) from error


def _rule_of(error: BaseException | None) -> str | None:
    return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", -1) & _PRIMARY)


def _failure(what: str, why: str, path: Path, rule: str) -> StoreFailure:
    return StoreFailure(f"{what}: {why}", where=str(path), hint=_HINTS[rule], rule=rule)
