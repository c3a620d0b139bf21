# SPDX-License-Identifier: Apache-2.0
"""Backups in a folder of this machine: each object a file, written beside its place and moved there."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.protocol.whole_file import private_folder, read_whole_or_none, replace_whole
from trustedpods.publisher.backups.door import MAX_LISTED, StoredObject, check_object_name, is_object_name

STALE_DRAFT_S = 24 * 3600
"""A file that a killed writer left is removed after this: no object takes that long to write."""


class FolderStore:
    """The folder, made when something is first kept in it; see `ObjectStore`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cleaned: set[Path] = set()

    @property
    def where(self) -> str:
        """Its path."""
        return str(self._folder)

    def put(self, name: str, data: bytes) -> None:
        """Written whole, brought to the disk, then moved into its place."""
        path = self._path(name)
        try:
            private_folder(path.parent)
            self._clean(path.parent)
            replace_whole(path, data)
        except OSError as error:
            raise StoreFailure(
                f"cannot write the backup: {error.strerror}", where=str(path), rule="backup-store"
            ) from None

    def get(self, name: str, most: int) -> bytes | None:
        """Its bytes; nothing of a larger file is kept in memory, and no pipe is waited for."""
        path = self._path(name)
        try:
            if path.exists() and not path.is_file():
                raise StoreFailure("it is no file", where=str(path), rule="backup-store")
            return read_whole_or_none(path, most)
        except BadInput as error:
            raise StoreFailure(error.what, where=str(path), rule="backup-store") from None
        except OSError as error:
            text = f"cannot read it: {error.strerror}"
            raise StoreFailure(text, where=str(path), rule="backup-store") from None

    def listed(self, prefix: str) -> Iterator[StoredObject]:
        """Every file below it; drafts of killed writers are none."""
        count = 0
        for parent, _, files in os.walk(self._path(prefix), onerror=self._failed):
            for file in files:
                path = Path(parent) / file
                name = path.relative_to(self._folder).as_posix()
                if not is_object_name(name):
                    continue
                count += 1
                if count > MAX_LISTED:
                    raise StoreFailure(
                        f"more than {MAX_LISTED} files", where=str(self._folder), rule="backup-store"
                    )
                yield StoredObject(name, _size(path))

    def delete(self, name: str) -> None:
        """The file goes, and folders that are empty then."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailure(
                f"cannot remove it: {error.strerror}", where=str(path), rule="backup-store"
            ) from None
        try:
            for folder in path.parents:
                if folder == self._folder:
                    break
                folder.rmdir()
        except OSError:
            return  # others are in it, or another took it away

    def _path(self, name: str) -> Path:
        return self._folder / check_object_name(name)

    def _failed(self, error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            where = str(error.filename or self._folder)
            raise StoreFailure(
                f"cannot read it: {error.strerror}", where=where, rule="backup-store"
            ) from None

    def _clean(self, folder: Path) -> None:
        """Once for each folder: files of killed writers go, so that nothing grows without end."""
        if folder in self._cleaned:
            return
        self._cleaned.add(folder)
        for path in folder.glob(".*"):
            with contextlib.suppress(OSError):  # another writer has just moved it, or it is no file
                if path.stat().st_mtime < time.time() - STALE_DRAFT_S:
                    path.unlink()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it has just gone: whoever reads it finds out
