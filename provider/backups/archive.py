# SPDX-License-Identifier: Apache-2.0
"""A backup as one file: a tar archive of the index, the files in its order, and its digest at the end.

So a file that was cut off has no end, and a changed byte fits to no digest. `tar -tf` lists it.
"""

import errno
import hashlib
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB
from trustedpods.provider.backups.contents import BOOKS
from trustedpods.provider.backups.index import MOST_INDEX, MOST_SMALL, BackupIndex, IndexedFile, read_index

_INDEX, _END = "index.json", "index.json.sha256"
_CHUNK = MIB
_MODE = 0o600
_MOST_HEADER = 4096
"""Bytes of an extended header: a name of 300, a size."""
_SHORT = "cut off or changed: "


def write(target: IO[bytes], index: BackupIndex, files: dict[str, bytes], books: Path) -> None:
    """Put the index's files into *target*; the books are read from *books*. Raises `OSError`."""
    text = index.text()
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, _INDEX, BytesIO(text), len(text), index.made)
        for one in index.files:
            if one.name == BOOKS:
                with books.open("rb") as file:
                    _add(archive, one.name, file, one.size, index.made)
            else:
                _add(archive, one.name, BytesIO(files[one.name]), one.size, index.made)
        end = hashlib.sha256(text).hexdigest().encode()
        _add(archive, _END, BytesIO(end), len(end), index.made)


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int, made: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, made, _MODE
    archive.addfile(member, content)


def unpack(path: Path, folder: Path) -> BackupIndex:
    """Put every file of a backup into *folder*, by its number in the index; all of them as the index says.

    BadInput where the backup cannot be read, is cut off or changed; what is in *folder* then is of no use.
    `OSError` where *folder* cannot be written.
    """
    where = str(path)
    with _opened(path) as archive:
        members = _members(archive, where)
        text = _small(archive, _next(members, _INDEX, where), MOST_INDEX, where)
        index = read_index(text, where)
        _check_room(index, path, folder)
        for number, one in enumerate(index.files):
            member = _next(members, one.name, where)
            if member.size != one.size or (one.name != BOOKS and one.size > MOST_SMALL):
                raise BadInput(f"{_SHORT}{one.name} has another size than the index says", where=where)
            if _copied(archive, member, folder / str(number), where) != one.sha256:
                raise BadInput(f"{_SHORT}{one.name} is not what the index says", where=where)
        end = _small(archive, _next(members, _END, where), len(hashlib.sha256().hexdigest()), where)
        if end.decode("ascii", "replace") != hashlib.sha256(text).hexdigest():
            raise BadInput(f"{_SHORT}the index is not what its digest says", where=where)
        if next(members, None) is not None:
            raise BadInput("no backup of a provider: something follows its end", where=where)
    return index


class _BoundedHeader(tarfile.TarInfo):
    """Extended headers are read as a whole, before anybody sees how long they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.size < 0 or (self.type not in tarfile.REGULAR_TYPES and self.size > _MOST_HEADER):
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]  # for subclasses
        return found


def _check_room(index: BackupIndex, path: Path, folder: Path) -> None:
    """It may be a running daemon's disk: nothing is written there that does not fit."""
    needed = min(sum(one.size for one in index.files), path.stat().st_size)
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{needed // MIB + 1} MiB are needed")


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with (
            path.open("rb") as file,
            tarfile.open(fileobj=file, mode="r|", tarinfo=_BoundedHeader) as archive,
        ):
            yield archive
    except (
        tarfile.TarError,
        RecursionError,
    ) as error:  # each extended header is read inside of the one before
        raise BadInput(f"no whole backup of a provider: {error}", where=str(path)) from None


def _members(archive: tarfile.TarFile, where: str) -> Iterator[tarfile.TarInfo]:
    while (member := archive.next()) is not None:
        if member.type != tarfile.REGTYPE or member.sparse is not None:
            raise BadInput(f"no backup of a provider: {member.name[:80]!r} is no plain file", where=where)
        yield member


def _next(members: Iterator[tarfile.TarInfo], name: str, where: str) -> tarfile.TarInfo:
    member = next(members, None)
    if member is None:
        raise BadInput(f"{_SHORT}{name} is missing", where=where)
    if member.name != name:
        raise BadInput(f"{_SHORT}{member.name[:80]!r} stands where {name} belongs", where=where)
    return member


def _small(archive: tarfile.TarFile, member: tarfile.TarInfo, most: int, where: str) -> bytes:
    if member.size > most:
        raise BadInput(f"no backup of a provider: {member.name} is larger than {most} bytes", where=where)
    return b"".join(_chunks(archive, member, where))


def _copied(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, where: str) -> str:
    """The digest of what was put at *target*."""
    digest = hashlib.sha256()
    target.touch(_MODE)
    with target.open("wb") as file:
        for chunk in _chunks(archive, member, where):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def _chunks(archive: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> Iterator[bytes]:
    """All of a file; the archive's end inside of it is an error of ours."""
    content = archive.extractfile(member)
    assert content is not None  # it is a plain file
    left = member.size
    while left:
        chunk = content.read(min(_CHUNK, left))
        if not chunk:
            raise BadInput(f"{_SHORT}it ends inside of {member.name}", where=where)
        left -= len(chunk)
        yield chunk


def indexed(name: str, content: IO[bytes], mode: int, user: str, group: str) -> IndexedFile:
    """A file's line in the index, from all of its content."""
    digest, size = hashlib.sha256(), 0
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    return IndexedFile(
        name=name, size=size, sha256=digest.hexdigest(), mode=mode & 0o777, user=user, group=group
    )
