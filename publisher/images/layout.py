# SPDX-License-Identifier: Apache-2.0
"""Where the files of an OCI image layout lie: inside an uncompressed tar, or in a folder."""

import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import Descriptor

MAX_MEMBERS = 10_000
"""An image has at most a few hundred files; an archive of more is not one."""


@dataclass(frozen=True, slots=True)
class Extent:
    """*size* bytes of the file *path*, from *start*."""

    path: Path
    start: int
    size: int
    anew: Callable[[], None] | None = field(default=None, compare=False, repr=False)
    """Has the bytes fetched once more, where they are found damaged; None where they are a person's own."""

    def read(self, offset: int, length: int) -> bytes:
        """At most *length* bytes from *offset*; fewer only at the end.

        Raises `BadInput` when the file has become shorter or unreadable.
        """
        wanted = min(length, self.size - offset)
        try:
            with self.path.open("rb") as file:
                file.seek(self.start + offset)
                data = file.read(wanted)
        except OSError as error:
            raise BadInput(f"cannot read it: {error.strerror}", where=str(self.path)) from None
        if len(data) != wanted:
            raise BadInput("the file became shorter while it was read", where=str(self.path))
        return data


class Blobs(Protocol):
    """Blobs of images by their digests."""

    @property
    def place(self) -> str:
        """What errors call it."""

    def blob(self, named: Descriptor) -> Extent | None:
        """Where the blob lies; None when it is not there. Its bytes are not compared with the digest."""


class Layout(Blobs, Protocol):
    """Files of an image layout by their names inside it."""

    def find(self, name: str) -> Extent | None:
        """Where the file *name* lies; None when there is none."""


def _file_of(named: Descriptor) -> str:
    return f"blobs/sha256/{named.digest.removeprefix('sha256:')}"


class TarLayout:
    """An archive, as `skopeo copy ... oci-archive:FILE` or `podman save` write it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members = _index(path)

    @property
    def place(self) -> str:
        """Path of the archive."""
        return str(self._path)

    def find(self, name: str) -> Extent | None:
        """Where *name* lies in the archive."""
        return self._members.get(name)

    def blob(self, named: Descriptor) -> Extent | None:
        """Where the blob lies in the archive."""
        return self.find(_file_of(named))


def _index(path: Path) -> dict[str, Extent]:
    members: dict[str, Extent] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise BadInput(f"more than {MAX_MEMBERS} files in the archive", where=str(path))
                _add(members, member, path)
    except (tarfile.TarError, ValueError, OverflowError, RecursionError):
        raise BadInput(
            "not an uncompressed tar archive",
            where=str(path),
            hint="decompress it first, or write it with `skopeo copy docker-archive:IN oci-archive:OUT`",
        ) from None
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror or error}", where=str(path)) from None
    return members


def _add(members: dict[str, Extent], member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        return
    name = member.name.removeprefix("./")
    if not member.isreg() or member.issparse():
        return  # links of docker-archives; nothing of ours is looked up through one
    if name in members:
        raise BadInput(f"{name!r} is in the archive twice", where=str(path))
    members[name] = Extent(path, member.offset_data, member.size)


class DirectoryLayout:
    """A folder, as `skopeo copy ... oci:DIR` or `buildah push ... oci:DIR` write it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._root = path.resolve()

    @property
    def place(self) -> str:
        """Path of the folder."""
        return str(self._path)

    def find(self, name: str) -> Extent | None:
        """Where *name* lies; a link that leads out of the folder is refused."""
        try:
            target = (self._root / name).resolve()
            if not target.is_relative_to(self._root):
                raise BadInput(f"{name!r} leads out of the folder", where=str(self._path))
            return Extent(target, 0, os.stat(target).st_size) if target.is_file() else None
        except OSError as error:
            raise BadInput(f"cannot read {name!r}: {error.strerror}", where=str(self._path)) from None

    def blob(self, named: Descriptor) -> Extent | None:
        """Where the blob lies."""
        return self.find(_file_of(named))
