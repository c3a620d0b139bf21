# SPDX-License-Identifier: Apache-2.0
"""A copy of the books in a file, made before a newer version of the daemon changes their schema.

It lies beside them, `store.db.schema-0015` for books of schema 0015, and is the only way back: no
migration is undone. One is kept, that of the last migration.
"""

import logging
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.whole_file import sync_folder
from trustedpods.provider.store.failures import NoRoom, NotCopied, translated

_log = logging.getLogger(__name__)

_MODE = 0o600
_MARK = ".schema-"
_NOT_COPIED = "the books cannot be copied, and are not migrated without a copy"

STEP_PAGES = 16_384
"""Of SQLite's 4 KiB: a copy tells that it goes on after each 64 MiB, which a slow disk writes in seconds."""


def place(books: Path, schema: str) -> Path:
    """Where the copy of *books* as they were with *schema* lies."""
    return books.with_name(f"{books.name}{_MARK}{schema}")


def make(books: Path, schema: str, spare: int, going_on: Callable[[], None], pages: int = STEP_PAGES) -> Path:
    """Copy *books*, which nobody else may write meanwhile; the copy is whole and on the disk, or not there.

    A copy of the same schema, of a migration that failed, goes first: a disk has no room for both perhaps.
    It leaves *spare* bytes free, or is not begun. *going_on* is called after each *pages* until it is whole.
    NotCopied where it cannot be made; the books are as they were then.
    """
    copy = place(books, schema)
    draft = copy.with_name(f".{copy.name}")
    journal = draft.with_name(f"{draft.name}-journal")
    try:
        with translated(_NOT_COPIED, copy):
            for left in (draft, journal, copy):
                left.unlink(missing_ok=True)
            _check_room(books, copy, spare)
            _fill(draft, books, going_on, pages)
            draft.replace(copy)
            sync_folder(copy.parent)
    except StoreFailure as error:
        raise NotCopied(error.what, where=error.where, hint=error.hint, rule=error.rule) from error
    finally:
        for left in (draft, journal):  # SQLite leaves its journal on a full disk
            with suppress(OSError):
                left.unlink(missing_ok=True)
    return copy


def _check_room(books: Path, copy: Path, spare: int) -> None:
    """Before a copy takes the last of a disk, on which pods that run need some for their ends."""
    with closing(sqlite3.connect(books)) as source:
        (pages,), (size,) = (
            source.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
        )
    found = os.statvfs(books.parent)
    free, needed = found.f_bavail * found.f_frsize, pages * size + spare
    if free < needed:
        told = f"{free // MIB} MiB are free beside the reserve, {-(-needed // MIB)} MiB are needed"
        raise NoRoom(told, _hint(books, copy))


def _hint(books: Path, copy: Path) -> str:
    """What helps: mostly what is in the way is the copy of the migration before."""
    older = [f"remove {other}, of an earlier migration, or " for other in copies(books) if other != copy]
    return "".join(older[:1]) + "make room on this disk, or install the version before: it reads these books"


def _fill(draft: Path, books: Path, going_on: Callable[[], None], pages: int) -> None:
    """Some pages at a time, with what is in the log before the file; the commit brings them to the disk."""
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
    with closing(sqlite3.connect(books)) as source, closing(sqlite3.connect(draft)) as target:
        target.execute("PRAGMA synchronous=FULL")
        source.backup(target, pages=pages, progress=lambda *_: going_on())


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
