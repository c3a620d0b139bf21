# SPDX-License-Identifier: Apache-2.0
"""A copy of the books in a file, made before a newer version of the daemon changes their schema.

It lies beside them, `store.db.schema-0015` for books of schema 0015, and is the only way back: no
migration is undone. One is kept, that of the last migration.
"""

import logging
import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from trustedpods.protocol.whole_file import sync_folder
from trustedpods.provider.store.failures import translated

_log = logging.getLogger(__name__)

_MODE = 0o600
_MARK = ".schema-"


def place(books: Path, schema: str) -> Path:
    """Where the copy of *books* as they were with *schema* lies."""
    return books.with_name(f"{books.name}{_MARK}{schema}")


def make(books: Path, schema: str) -> Path:
    """Copy *books*, which nobody else may write meanwhile; the copy is whole and on the disk, or not there.

    A copy of the same schema, of a migration that failed, goes first: a disk has no room for both perhaps.
    `StoreFailure` where it cannot be made; the books are as they were then.
    """
    copy = place(books, schema)
    draft = copy.with_name(f".{copy.name}")
    journal = draft.with_name(f"{draft.name}-journal")
    with translated("the books cannot be copied, and are not migrated without a copy", copy):
        for left in (draft, journal, copy):
            left.unlink(missing_ok=True)
        try:
            os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
            _fill(draft, books)
            draft.replace(copy)
            sync_folder(copy.parent)
        finally:
            draft.unlink(missing_ok=True)
            journal.unlink(missing_ok=True)  # SQLite leaves it on a full disk
    return copy


def _fill(draft: Path, books: Path) -> None:
    """Page by page, with what is in the log before the file; the commit brings them to the disk."""
    with closing(sqlite3.connect(books)) as source, closing(sqlite3.connect(draft)) as target:
        target.execute("PRAGMA synchronous=FULL")
        source.backup(target)


def remove_others(copy: Path, books: Path) -> None:
    """Remove the copies of earlier migrations of *books*: *copy* is newer. One that cannot be stays."""
    for other in copies(books):
        if other != copy:
            try:
                other.unlink(missing_ok=True)
            except OSError as error:  # the books are migrated: no reason not to start
                _log.warning("%s cannot be removed: %s", other, error.strerror)


def copies(books: Path) -> list[Path]:
    """All copies of *books*, that of the newest schema last; what an operator called otherwise is theirs."""
    ours = re.compile(re.escape(f"{books.name}{_MARK}") + "[0-9]+")
    return sorted(path for path in books.parent.iterdir() if ours.fullmatch(path.name))
