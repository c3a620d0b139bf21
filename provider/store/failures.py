# SPDX-License-Identifier: Apache-2.0
"""A database's and the disk's troubles as our one error; what is a bug here stays what it is."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from trustedpods.protocol.errors import StoreFailure

FULL, IO, READ_ONLY, DAMAGED, BUSY, NEWER, AWAY, DENIED = (
    "store-full",
    "store-io",
    "store-read-only",
    "store-damaged",
    "store-busy",
    "store-newer",
    "store-away",
    "store-denied",
)
"""Rules of `StoreFailure`, and the metric's labels."""

PASSING = frozenset({AWAY, BUSY})
"""What goes away by itself where the books are on a server: another daemon, or a later try, opens them."""

_HINTS = {
    FULL: "make room on this disk",
    IO: "look at the disk (`dmesg`), and whether it is mounted",
    READ_ONLY: "the daemon's user must be able to write there, and the disk to be mounted for writing",
    DAMAGED: "stop the daemon and put back a copy of the books (docs/operator.md)",
    BUSY: "another process holds the database: end it",
    NEWER: "start the version that wrote it, or a newer one",
    AWAY: "look whether the database's server runs and is reached; what stands in it is as it was",
    DENIED: "the user in `database` must be let in by the server, and own the tables",
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

_OF_POSTGRES = {
    "53100": FULL,
    "58": IO,
    "25006": AWAY,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "40": BUSY,
    "55P03": BUSY,
    "57014": BUSY,
    "08": AWAY,
    "25P03": AWAY,
    "25P04": AWAY,
    "3D000": AWAY,
    "53": AWAY,
    "57P": AWAY,
    "28": DENIED,
    "42501": DENIED,
}
"""By SQLSTATE or how it begins, the longest first (postgresql.org/docs/current/errcodes-appendix.html).

25006: this server is a replica, and after a fail-over another one is not; 25P03 and 25P04: it ended a
session whose daemon stood still; 53: it has no room for sessions.
"""

_OF_SYSTEM = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: FULL,
    errno.EROFS: READ_ONLY,
    errno.EACCES: READ_ONLY,
    errno.EPERM: READ_ONLY,
}


class NotCopied(StoreFailure):
    """Books that a migration needs a copy of, and that cannot be copied: no reserve is spent on it."""


class NoRoom(Exception):
    """Less is free than something needs; *hint* is what helps there."""

    def __init__(self, told: str, hint: str) -> None:
        super().__init__(told)
        self.hint = hint


class NewerSchema(Exception):
    """Books whose schema this version does not know; *hint* where more can be done than is usual."""

    def __init__(self, found: str, newest: str, hint: str | None = None) -> None:
        super().__init__(f"they are of schema {found}, and this version knows up to {newest}")
        self.found, self.newest, self.hint = found, newest, hint


@contextmanager
def translated(what: str, path: Path | str) -> Iterator[None]:
    """The one place where errors of the books, the spool and their disk become ours."""
    try:
        yield
    except DBAPIError as error:
        rule = _rule_of(error.orig) or _rule_of_server(error)
        if rule is None:
            raise
        raise _failure(what, str(error.orig).strip().replace("\n", "; "), path, rule) from error
    except sqlite3.Error as error:
        rule = _rule_of(error)
        if rule is None:
            raise
        raise _failure(what, str(error), path, rule) from error
    except NoConnectionFree as error:
        raise _failure(what, "no connection came free in time", path, AWAY) from error
    except NewerSchema as error:
        raise _failure(what, str(error), path, NEWER, error.hint) from None
    except NoRoom as error:
        raise _failure(what, str(error), path, FULL, error.hint) from None
    except OSError as error:
        rule = _OF_SYSTEM.get(error.errno or 0, IO)
        raise _failure(what, error.strerror or str(error), path, rule) from error


def _rule_of(error: BaseException | None) -> str | None:
    return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", -1) & _PRIMARY)


def _rule_of_server(error: DBAPIError) -> str | None:
    """PostgreSQL's errors have a SQLSTATE; without one nothing was heard of the server."""
    state = getattr(error.orig, "sqlstate", "")
    if state is None:
        return AWAY if isinstance(error, OperationalError | InterfaceError) else None
    return next((_OF_POSTGRES[state[:n]] for n in (5, 3, 2) if state[:n] in _OF_POSTGRES), None)


def _failure(what: str, why: str, path: Path | str, rule: str, hint: str | None = None) -> StoreFailure:
    return StoreFailure(f"{what}: {why}", where=str(path), hint=hint or _HINTS[rule], rule=rule)
