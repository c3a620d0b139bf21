# SPDX-License-Identifier: Apache-2.0
"""Files of this machine as a tar stream, and somebody else's tar stream as files, but never elsewhere.

An archive from a pod is not believed: it is unpacked into a folder that is new and only ours, nothing is
written through a link, and what would leave the folder is not made.
"""

import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, Never, Self

from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.limits import MIB

MAX_ENTRIES = 1 << 18
"""Files and folders of one copy: a whole distribution."""

MAX_EXTENDED = 1 * MIB
"""Bytes of one extended header: where Go's reader stops too."""

_PIECE = 256 * 1024
_NEVER_SENT = {
    tarfile.XGLTYPE: "headers for all that follows, which tar never writes of files",
    tarfile.GNUTYPE_SPARSE: "a file with holes, few bytes of which would fill a disk",
}
_BROKEN = (tarfile.TarError, RecursionError, ValueError, IndexError, OverflowError)
"""What Python's reader raises for archives that nobody's tar wrote."""

_EXTENDED = frozenset(
    (
        tarfile.XHDTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    )
)

Copied = Callable[[str, int, int], None]
"""Told of each file: its name, how many of its bytes are done, how many it has."""

Skipped = Callable[[str], None]
"""Told of what is left out, and why."""


class _BoundedInfo(tarfile.TarInfo):
    """A header; one that would have much read into memory, or much more written than was sent, is refused."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        made = super().frombuf(buf, encoding, errors)
        if made.type in _NEVER_SENT:
            raise _unsafe(made.name, _NEVER_SENT[made.type])
        if made.type in _EXTENDED and made.size > MAX_EXTENDED:
            raise _unsafe("an extended header", f"it has {made.size} bytes")
        return made

    def _holes(self, *_: object) -> Never:
        raise _unsafe(self.name, _NEVER_SENT[tarfile.GNUTYPE_SPARSE])

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _holes


def _unsafe(name: str, why: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"the pod's tar sent {name!r}: {why}", rule="copy-unsafe")


def _place(name: str) -> PurePosixPath:
    """A name of the archive as a path in the folder; refused where it is none."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise _unsafe(name, "it lies outside of what was asked for")
    return path


class CopyUnpacker:
    """Writes an archive's entries into *folder*, which is empty."""

    def __init__(self, folder: Path, copied: Copied, skipped: Skipped) -> None:
        self._folder = folder
        self._copied = copied
        self._skipped = skipped
        self.files = self.size = 0

    def run(self, stream: IO[bytes]) -> None:
        """All of them, from a thread. RemoteProtocolError for what is no archive, or no honest one.

        BadInput for what cannot be written here.
        """
        try:
            with tarfile.open(fileobj=stream, mode="r|", tarinfo=_BoundedInfo) as archive:
                count = 0
                while (member := archive.next()) is not None:
                    archive.members.clear()  # type: ignore[attr-defined]  # else each stays in memory to the end
                    count += 1
                    if count > MAX_ENTRIES:
                        raise _unsafe(member.name, f"more than {MAX_ENTRIES} entries")
                    self._take(archive, member)
        except _BROKEN as error:
            raise RemoteProtocolError(f"what came is no tar archive: {error}", rule="copy-unsafe") from error
        except OSError as error:
            where = str(error.filename or self._folder)
            raise BadInput(f"cannot be written: {error.strerror or error}", where=where) from error

    def _take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        relative = _place(member.name)
        if not relative.parts:
            return  # the folder itself
        path = self._folder.joinpath(*relative.parts)
        self._prepare(relative.parent, member.name)
        if member.isdir():
            mode = member.mode & 0o777 | stat.S_IRWXU
            if _is_folder(path):  # made for what is in it: what this user takes from all that he makes stays
                path.chmod(mode & path.stat().st_mode)
            else:
                self._once(path, member.name)
                path.mkdir(mode)
        elif member.isreg():
            self._once(path, member.name)
            self._write(archive, member, path, str(relative))
        elif member.issym():
            self._once(path, member.name)
            self._link(relative, path, member)
        elif member.islnk():
            self._once(path, member.name)
            self._second_name(path, member)
        else:
            self._skipped(f"{member.name}: neither a file nor a folder nor a link")

    def _prepare(self, parent: PurePosixPath, name: str) -> None:
        """The folders above, none of them a link."""
        path = self._folder
        for part in parent.parts:
            path = path / part
            if not _is_folder(path):
                self._once(path, name)
                path.mkdir()

    def _once(self, path: Path, name: str) -> None:
        if os.path.lexists(path):
            raise _unsafe(name, "another entry has that place")

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, name: str) -> None:
        source = archive.extractfile(member)
        if source is None:
            raise _unsafe(member.name, "it has no content")
        mode = member.mode & 0o777 | stat.S_IRUSR | stat.S_IWUSR  # less what this user's umask says
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        done = 0
        with os.fdopen(os.open(path, flags, mode), "wb") as file:
            while piece := source.read(_PIECE):
                file.write(piece)
                done += len(piece)
                self._copied(name, done, member.size)
        self.files += 1
        self.size += done

    def _link(self, relative: PurePosixPath, path: Path, member: tarfile.TarInfo) -> None:
        target = member.linkname
        if not target or "\0" in target:
            raise _unsafe(member.name, "it is a link to nothing")
        if not _stays(relative, target):
            self._skipped(f"{member.name}: {_leaves(target)}")
            return
        path.symlink_to(target)

    def _second_name(self, path: Path, member: tarfile.TarInfo) -> None:
        first = _place(member.linkname)
        source = self._folder.joinpath(*first.parts)
        above = [self._folder.joinpath(*parent.parts) for parent in first.parents]
        if not all(map(_is_folder, above)) or not _is_file(source):
            raise _unsafe(member.name, f"a second name of {member.linkname!r}, which did not come")
        os.link(source, path, follow_symlinks=False)
        self.files += 1


def _stays(link: PurePosixPath, target: str) -> bool:
    """Whether a link there leads to what is copied with it, by whatever name that is copied.

    It may go up to the copied folder and not out of it, also where it would come back by the folder's name.
    Behind a name it goes nowhere up: where that is a link, it would lead somewhere else than it reads.
    """
    parts = [part for part in target.split("/") if part not in ("", ".")]
    ups = next((place for place, part in enumerate(parts) if part != ".."), len(parts))
    return not target.startswith("/") and ups <= len(link.parts) - 2 and ".." not in parts[ups:]


def _leaves(target: str) -> str:
    return f"a link to {target!r}, outside of what is copied"


def _is_folder(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISDIR(path.lstat().st_mode)


def _is_file(path: Path) -> bool:
    return os.path.lexists(path) and stat.S_ISREG(path.lstat().st_mode)


def pack(source: Path, name: str, stream: IO[bytes], copied: Copied, skipped: Skipped) -> tuple[int, int]:
    """Write *source*, under *name*, as an archive; how many files, and how many bytes they have.

    Owners are not told: in the pod all of it is whoever's unpacks it. BadInput for what cannot be read.
    """
    files = size = 0
    if not os.path.lexists(source):
        raise BadInput("no such file", where=str(source))
    if source.is_symlink():
        raise BadInput("a link", where=str(source), hint=f"name what it leads to: {os.path.realpath(source)}")
    try:
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for path, place in _below(source, name):
                info = archive.gettarinfo(path, place)
                why = _left_out(place, info)
                if info is None or why is not None:
                    skipped(f"{path}: {why}")
                    continue
                info.uid = info.gid = 0
                info.uname = info.gname = ""
                info.mode &= 0o777
                if info.islnk():  # both names are sent whole: the first may lie outside
                    info.type, info.linkname, info.size = tarfile.REGTYPE, "", path.lstat().st_size
                if not info.isreg():
                    archive.addfile(info)
                    continue
                with open(path, "rb") as file:
                    archive.addfile(info, _Told(file, place, info.size, copied))
                files, size = files + 1, size + info.size
    except BrokenPipeError:
        raise  # the pod's tar has ended: what it said is told
    except OSError as error:
        raise BadInput(
            f"cannot be copied: {error.strerror or error}", where=str(error.filename or source)
        ) from None
    return files, size


def _left_out(place: str, info: tarfile.TarInfo | None) -> str | None:
    """Why it is not sent; None where it is."""
    if info is None or info.type not in (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
        return "neither a file nor a folder nor a link"
    if info.issym() and not _stays(PurePosixPath(place), info.linkname):
        return _leaves(info.linkname)
    return None


def _below(source: Path, name: str) -> "list[tuple[Path, str]]":
    found = [(source, name)]
    if source.is_dir():
        for folder, folders, files in os.walk(source):
            place = PurePosixPath(name, *Path(folder).relative_to(source).parts)
            found += [(Path(folder, one), str(place / one)) for one in sorted([*folders, *files])]
    if len(found) > MAX_ENTRIES:
        raise BadInput(f"more than {MAX_ENTRIES} files and folders", where=str(source))
    return found


class _Told:
    """A file that tells how much of it was read."""

    def __init__(self, file: IO[bytes], name: str, size: int, copied: Copied) -> None:
        self._file, self._name, self._size, self._copied = file, name, size, copied
        self._done = 0

    def read(self, most: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(most)
        self._done += len(data)
        self._copied(self._name, self._done, self._size)
        return data


def put_in_place(made: Path, target: Path) -> None:
    """What was unpacked becomes *target*: of a file the newest stays, a folder takes no other's place."""
    if not os.path.lexists(made):
        raise Refused("the pod's tar sent nothing that can be copied", rule="copy")
    if target.is_dir() and not target.is_symlink():
        raise BadInput(
            "there is a folder of that name already", where=str(target), hint="name another target"
        )
    try:
        os.replace(made, target)
    except OSError as error:
        what = f"cannot be put there: {error.strerror or error}"
        raise BadInput(what, where=str(target), hint="name another target") from error
