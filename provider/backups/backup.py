# SPDX-License-Identifier: Apache-2.0
"""Makes a backup beside a daemon that may run: it asks nobody, and holds up nobody."""

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from trustedpods.protocol.errors import BadInput, Locked
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.whole_file import sync_folder
from trustedpods.provider.backups import archive
from trustedpods.provider.backups.contents import (
    BOOKS,
    MOST_OF_AUTHORITY,
    KeptFile,
    check_books,
    check_class,
    of_authority,
    small_files,
)
from trustedpods.provider.backups.index import MOST_SMALL, BackupIndex, IndexedFile, provider_of
from trustedpods.provider.backups.owners import names_of, private_folder
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.store.engines import snapshot
from trustedpods.provider.store.engines.replacing import refuse_unfinished
from trustedpods.provider.store.failures import translated

_TRIES = 5
"""A renewal replaces a few files within a second; a folder that changes longer is somebody's else."""


COPIES = 2
"""Of the books: as they are copied, and in the archive."""


@dataclass(frozen=True, slots=True)
class BackupMade:
    """A backup that is whole and on the disk. `left_out` are files that the settings name and nobody has."""

    path: Path
    size: int
    index: BackupIndex
    left_out: tuple[Path, ...]


def back_up(config: ProviderConfig, settings: Path, target: Path, *, now: int, version: str) -> BackupMade:
    """Put a backup at *target*: a new file, or a new one in that folder.

    *config* is what the file *settings* says, *now* seconds since 1970 UTC. Refused for class `sealed`;
    BadInput where a file is in the way or a needed one is missing; StoreFailure where books or disk fail,
    or a restore of them was killed.
    A kill leaves a hidden folder beside the target, and never half a backup.
    """
    check_class(config, "backup")
    check_books(config)
    refuse_unfinished(Path(config.store.path))
    path = _free_place(target, config, now)
    with translated("the backup cannot be written", path), private_folder(path.parent, "backup") as folder:
        _check_room(folder, Path(config.store.path))
        books = folder / "books"
        snapshot.take(Path(config.store.path), books)
        schema = snapshot.examine(books)
        files, contents, left_out = _read_small(config, settings)
        files.append(_indexed_books(books, Path(config.store.path)))
        index = BackupIndex(
            version=version, made=now, provider=provider_of(config), schema_of_books=schema, files=files
        )
        draft = folder / "backup"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            archive.write(file, index, contents, books)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # never in place of another one
        except FileExistsError:
            raise _in_the_way(path) from None
        sync_folder(path.parent)
    return BackupMade(path, path.stat().st_size, index, left_out)


def _free_place(target: Path, config: ProviderConfig, now: int) -> Path:
    target = target.absolute()
    if target.is_dir():
        made = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        target /= f"{config.identity.domain}-{config.identity.daemon}-{made}.backup"
    if os.path.lexists(target):
        raise _in_the_way(target)
    if not target.parent.is_dir():
        raise BadInput("there is no such folder", where=str(target.parent), hint="make it, for you alone")
    return target


def _check_room(folder: Path, books: Path) -> None:
    """It may be the daemon's disk: nothing is written there that does not fit."""
    parts = (books, books.with_name(books.name + "-wal"))
    needed = COPIES * sum(one.stat().st_size for one in parts if one.exists())
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{needed // MIB + 1} MiB are needed")


def _in_the_way(path: Path) -> BadInput:
    return BadInput("something is there already", where=str(path), hint="name another file, or a folder")


def _indexed_books(copy: Path, books: Path) -> IndexedFile:
    """With the owner of the books themselves: the copy is whose who makes the backup."""
    with copy.open("rb") as file:
        return archive.indexed(BOOKS, file, 0o600, *names_of(books.stat()))


def _read_small(
    config: ProviderConfig, settings: Path
) -> tuple[list[IndexedFile], dict[str, bytes], tuple[Path, ...]]:
    files: list[IndexedFile] = []
    contents: dict[str, bytes] = {}
    left_out: list[Path] = []

    def keep(one: KeptFile) -> None:
        if not one.path.is_file() and not one.needed:
            left_out.append(one.path)
            return
        state, content = _content(one)
        contents[one.name] = content
        files.append(archive.indexed(one.name, BytesIO(content), state.st_mode, *names_of(state)))

    for one in small_files(config, settings):
        keep(one)
    for one, state, content in _of_one_moment(lambda: list(of_authority(config))):
        contents[one.name] = content
        files.append(archive.indexed(one.name, BytesIO(content), state.st_mode, *names_of(state)))
    return files, contents, tuple(left_out)


def _content(one: KeptFile) -> tuple[os.stat_result, bytes]:
    """BadInput where it cannot be read or is larger than any file of ours."""
    try:
        with one.path.open("rb") as file:
            content = file.read(MOST_SMALL + 1)
            state = os.fstat(file.fileno())
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(one.path)) from None
    if len(content) > MOST_SMALL:
        raise BadInput(f"larger than {MOST_SMALL} bytes", where=str(one.path))
    return state, content


def _of_one_moment(
    listed: Callable[[], list[KeptFile]],
) -> list[tuple[KeptFile, os.stat_result, bytes]]:
    """Files that belong together, read until none of them changed meanwhile.

    An authority's order is written in several; a key of after a renewal is of no use to a state of before it.
    """
    for _ in range(_TRIES):
        files = listed()
        if len(files) > MOST_OF_AUTHORITY:
            raise BadInput(f"more than {MOST_OF_AUTHORITY} files", where=str(files[0].path.parent))
        try:
            read = [(one, *_content(one)) for one in files]
            again = [one.path.stat() for one in files]
        except (BadInput, FileNotFoundError):
            if listed() == files:
                raise
            continue
        if listed() == files and all(
            _same(state, now) for (_, state, _), now in zip(read, again, strict=True)
        ):
            return read
    raise Locked("a certificate is being renewed in this moment", hint="try again in a minute")


def _same(before: os.stat_result, after: os.stat_result) -> bool:
    return (before.st_ino, before.st_mtime_ns, before.st_size) == (
        after.st_ino,
        after.st_mtime_ns,
        after.st_size,
    )
