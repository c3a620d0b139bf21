# SPDX-License-Identifier: Apache-2.0
"""Puts other books in the place of those that are there, which are kept beside them.

Several files change, so a mark lies beside the books meanwhile: no daemon opens them while it does, and a
replacement that was killed goes on from it.
"""

from pathlib import Path

from trustedpods.protocol.errors import StoreFailure
from trustedpods.protocol.whole_file import read_whole_or_none, replace_whole, sync_folder
from trustedpods.provider.store.failures import translated

UNFINISHED = "restore-unfinished"
_MOST_MARK = 256
"""A name of a folder."""

ASIDE = "before-restore-"
"""How the names of folders begin that have what was there."""

_BESIDE = ("", "-wal", "-shm", "-journal")
"""The file, and what SQLite keeps of it outside: one without the other is not the books."""


def mark_of(books: Path) -> Path:
    """The file that says that *books* are being replaced."""
    return books.with_name(f"{books.name}.restoring")


def refuse_unfinished(books: Path) -> None:
    """StoreFailure while *books* are half replaced."""
    if mark_of(books).exists():
        raise StoreFailure(
            "a restore of these books was not finished",
            where=str(books),
            hint="give `trustedpods-provider restore` the same file again",
            rule=UNFINISHED,
        )


def set_aside(books: Path, name: str) -> Path:
    """Mark *books*, and move what is there into the folder *name* beside them; that folder's path.

    *name* is `ASIDE` and letters or digits. Where an earlier one was killed its folder is used, and what it
    moved stays as it is. The caller holds the lock of the books.
    """
    with translated("the books cannot be set aside", books):
        told = read_whole_or_none(mark_of(books), _MOST_MARK)
        if told is None:
            replace_whole(mark_of(books), name.encode())
        folder = books.parent / (name if told is None else _named(told, books))
        if told is None or not folder.is_dir() or folder.is_symlink():
            folder.mkdir(0o700)  # another one's of this second would keep its own files
        for suffix in _BESIDE:
            _move(books.with_name(books.name + suffix), folder)
        sync_folder(folder)
        sync_folder(books.parent)
    return folder


def _named(told: bytes, books: Path) -> str:
    """The folder of a restore that was killed; the mark lies where the daemon's user may write."""
    name = told.decode("ascii", "replace")
    if not name.startswith(ASIDE) or not name.removeprefix(ASIDE).isalnum():
        raise StoreFailure(
            "this is no mark of a restore",
            where=str(mark_of(books)),
            hint="remove it, and give `trustedpods-provider restore` the file again",
            rule=UNFINISHED,
        )
    return name


def finish(books: Path) -> None:
    """Everything is in its place: a daemon may open *books*."""
    with translated("the mark of a restore cannot be removed", books):
        sync_folder(books.parent)
        mark_of(books).unlink(missing_ok=True)
        sync_folder(books.parent)


def _move(path: Path, folder: Path) -> None:
    """Once: what lies at *path* after that is new."""
    kept = folder / path.name
    if path.exists() and not kept.exists():
        path.rename(kept)
