# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A disk that fails under the real store: SQLite says so at the statements that the test names."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import event

WRITES = ("INSERT", "UPDATE", "DELETE")
SAID = {
    sqlite3.SQLITE_FULL: "database or disk is full",
    sqlite3.SQLITE_IOERR: "disk I/O error",
    sqlite3.SQLITE_READONLY: "attempt to write a readonly database",
    sqlite3.SQLITE_CORRUPT: "database disk image is malformed",
}


@dataclass
class BrokenDisk:
    """Breaks the statements of *store* while `code` is set; counts those that it broke.

    While `free` is set, so many bytes are left on the disk.
    """

    code: int | None = None
    free: int | None = None
    words: tuple[str, ...] = WRITES
    broken: int = 0
    passed: list[str] = field(default_factory=list)

    def put_under(self, store: object) -> None:
        event.listen(store._engine, "before_cursor_execute", self._judge)
        read = store.disk._read
        store.disk._read = lambda: read() if self.free is None else self.free

    def _judge(self, _connection, _cursor, statement, *_) -> None:
        if self.code is None or not statement.lstrip().startswith(self.words):
            return
        self.broken += 1
        error = sqlite3.OperationalError(SAID[self.code])
        error.sqlite_errorcode = self.code
        raise error

    @contextmanager
    def failing(self, code: int = sqlite3.SQLITE_FULL, words: tuple[str, ...] = WRITES) -> Iterator[None]:
        """Statements that begin with one of *words* fail in the block."""
        self.code, self.words = code, words
        try:
            yield
        finally:
            self.code = None
