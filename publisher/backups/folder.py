# SPDX-License-Identifier: Apache-2.0
"""Backups in a folder: in it one for each pod, in that one for each backup, there whole or not at all.

    FOLDER/POD/20261129T140501Z/index        what belongs to it, written last, sealed
                                data.0.sealed

A backup is made under a name that begins with a dot, and gets its own when all of it is on the disk. One
that was cut off is never taken for a backup; the next one takes it away.
"""

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, Locked, RemoteProtocolError
from trustedpods.protocol.limits import MAX_MESSAGE
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder, replace_whole
from trustedpods.publisher.backups.index import BackupIndex, BackupPart
from trustedpods.publisher.backups.sealing import (
    SEALED_CHUNK,
    StreamOpener,
    StreamSealer,
    open_index,
    seal_index,
    sealed_size,
)

INDEX = "index"
_BEGUN = ".begun-"
_LOCK = ".lock"
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A whole backup: its name, and what it holds."""

    name: str
    index: BackupIndex

    @property
    def size(self) -> int:
        """Bytes of all parts before they were sealed."""
        return sum(part.size for part in self.index.parts)


class PodBackups:
    """The backups of one pod of one publisher."""

    def __init__(self, folder: Path, pod: str, secret: bytes) -> None:
        self._folder = folder / pod
        self._pod = pod
        self._secret = secret

    def names(self) -> list[str]:
        """Of all whole backups, oldest first. BadInput for a folder that cannot be read."""
        try:
            found = [path.name for path in self._folder.iterdir() if _ID.fullmatch(path.name)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(self._folder, error) from None
        return sorted(found)

    def backup(self, name: str | None = None) -> StoredBackup:
        """The backup *name*, else the newest; BadInput where it is not there or not whole."""
        known = self.names()
        if not known or name not in {None, *known}:
            what = f"no backup {name or ''} of {self._pod}".replace("  ", " ")
            hint = f"there are: {', '.join(known)}" if known else "`trustedpods backup` makes one"
            raise BadInput(what, where=str(self._folder), hint=hint)
        chosen = name or known[-1]
        path = self._folder / chosen / INDEX
        try:
            with path.open("rb") as file:
                sealed = file.read(MAX_MESSAGE + 1)
            plain = open_index(self._secret, f"{self._pod}/{chosen}", sealed)
            return StoredBackup(chosen, decode(plain, BackupIndex))
        except OSError as error:
            raise _unreadable(path, error) from None
        except BadInput as error:
            raise BadInput(error.what, where=str(path)) from None
        except RemoteProtocolError as error:
            raise BadInput(f"no index of this version: {error.what}", where=str(path)) from None

    def read(self, backup: StoredBackup, part: BackupPart) -> Iterator[bytes]:
        """The part's bytes, chunk by chunk, each of them checked.

        BadInput where the file is not what was sealed, as soon as that shows: what came before is sound, and
        is not the whole.
        """
        path, digest = self._folder / backup.name / part.file, hashlib.sha256()
        try:
            with path.open("rb") as file:
                if (there := os.fstat(file.fileno()).st_size) != sealed_size(part.size):
                    text = f"it has {there} bytes, not {sealed_size(part.size)}"
                    raise BadInput(text, where=str(path))
                opener, left = StreamOpener(self._secret, part.salt), there
                while left:
                    sealed = file.read(min(SEALED_CHUNK, left))
                    left -= len(sealed)
                    plain = _opened(opener, sealed, path, last=left == 0)
                    digest.update(plain)
                    yield plain
        except OSError as error:
            raise _unreadable(path, error) from None
        if digest.digest() != part.digest:
            raise BadInput("its bytes are not those that the index names", where=str(path))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other backup is made here meanwhile, else Locked. What was cut off before is taken away."""
        try:
            private_folder(self._folder)
            lock = open_lock(self._folder / _LOCK)
        except OSError as error:
            raise _unwritable(self._folder, error) from None
        try:
            if not _taken(lock):
                text = f"another backup of {self._pod} is being made in {self._folder}"
                raise Locked(text, rule="pod-lock", hint="wait until it has ended")
            for path in self._folder.glob(f"{_BEGUN}*"):
                shutil.rmtree(path, ignore_errors=True)
            yield
        finally:
            os.close(lock)

    def begin(self, now: int) -> "NewBackup":
        """A backup that begins at *now* (Unix seconds); only while this one is `alone`.

        Its name is its second, or the next one that no other backup has.
        """
        there = self.names()
        while (name := datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")) in there:
            now += 1
        return NewBackup(self._folder, self._pod, name, self._secret, now)

    def keep(self, most: int) -> list[str]:
        """Remove all but the newest *most* backups; the names of those that went."""
        gone = self.names()[: -max(1, most)]
        for name in gone:
            hidden = self._folder / f"{_BEGUN}{name}"
            try:
                (self._folder / name).rename(hidden)
            except OSError as error:
                raise _unwritable(self._folder / name, error) from None
            shutil.rmtree(hidden, ignore_errors=True)
        return gone


class NewBackup:
    """A backup that is being made."""

    def __init__(self, folder: Path, pod: str, name: str, secret: bytes, began: int) -> None:
        self._folder, self._pod, self._name, self._secret = folder, pod, name, secret
        self._began = began
        self._path = folder / f"{_BEGUN}{name}"
        self._parts: list[BackupPart] = []
        try:
            self._path.mkdir(mode=0o700)
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def part(self, volume: str, ordinal: int | None) -> "NewPart":
        """The next part, to be written to its end."""
        return NewPart(self._path, volume, ordinal, self._secret)

    def add(self, part: BackupPart) -> None:
        """A part that was written to its end."""
        self._parts.append(part)

    def finish(self, now: int) -> StoredBackup:
        """All parts are there: from now on it is a backup."""
        index = BackupIndex(pod=self._pod, began=self._began, ended=now, parts=self._parts)
        try:
            sealed = seal_index(self._secret, f"{self._pod}/{self._name}", encode(index))
            replace_whole(self._path / INDEX, sealed)
            self._path.rename(self._folder / self._name)
            _sync(self._folder)
        except OSError as error:
            raise _unwritable(self._path, error) from None
        return StoredBackup(self._name, index)


class NewPart:
    """One file of a backup that is being made."""

    def __init__(self, folder: Path, volume: str, ordinal: int | None, secret: bytes) -> None:
        self._volume, self._ordinal = volume, ordinal
        self._sealer, self._digest, self.size = StreamSealer(secret), hashlib.sha256(), 0
        empty = BackupPart(volume=volume, ordinal=ordinal, size=0, digest=bytes(32), salt=self._sealer.salt)
        self._path = folder / empty.file
        try:
            self._file: BinaryIO = self._path.open("xb")
        except OSError as error:
            raise _unwritable(self._path, error) from None

    def write(self, data: bytes) -> None:
        """The next bytes."""
        self._digest.update(data)
        self.size += len(data)
        self._put(self._sealer.add(data))

    def end(self) -> BackupPart:
        """Its bytes are on the disk."""
        self._put(self._sealer.end())
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _unwritable(self._path, error) from None
        return BackupPart(
            volume=self._volume,
            ordinal=self._ordinal,
            size=self.size,
            digest=self._digest.digest(),
            salt=self._sealer.salt,
        )

    def close(self) -> None:
        """Also after an error: what could not be written was told before."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _put(self, sealed: bytes) -> None:
        try:
            self._file.write(sealed)
        except OSError as error:
            raise _unwritable(self._path, error) from None


def _taken(lock: int) -> bool:
    try:
        return taken(lock)
    except OSError:
        return True  # a file system without locks: as if there were no other


def _opened(opener: StreamOpener, sealed: bytes, path: Path, *, last: bool) -> bytes:
    try:
        return opener.open(sealed, last=last)
    except BadInput as error:
        raise BadInput(error.what, where=str(path)) from None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unreadable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot read it: {error.strerror}", where=str(path))


def _unwritable(path: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot write the backup: {error.strerror}", where=str(path))
