# SPDX-License-Identifier: Apache-2.0
"""Files of one user that are read and replaced as a whole, and the folders that they lie in.

A reader, also one after a power cut, sees old or new content. The new content is written beside the
file under a name of its own, brought to the disk, and only then renamed over it (rename(2) is atomic);
fsync(2) of the folder makes the rename itself last.
"""

import errno
import os
import secrets
from pathlib import Path
from typing import BinaryIO

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB, MIB

PRIVATE_FOLDER = 0o700
"""What one user's programs keep is nobody else's to read or to list, whatever the umask says."""


def read_whole(path: Path, most: int, what: str = "it", hint: str | None = None) -> bytes:
    """All of a file that has at most *most* bytes; no more is read of what is larger.

    BadInput, at the file's path, where it is not there, cannot be read, or is larger: *what* it is, and the
    bound. *hint* is what to do about one that is too large.
    """
    found = read_whole_or_none(path, most, what, hint)
    if found is None:
        raise BadInput(f"cannot read {what}: {os.strerror(errno.ENOENT)}", where=str(path))
    return found


def read_whole_or_none(path: Path, most: int, what: str = "it", hint: str | None = None) -> bytes | None:
    """As `read_whole`; None where there is no such file."""
    try:
        with path.open("rb") as file:
            return read_open(file, path, most, what, hint)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise BadInput(f"cannot read {what}: {error.strerror}", where=str(path)) from None


def read_open(file: BinaryIO, path: Path, most: int, what: str = "it", hint: str | None = None) -> bytes:
    """As `read_whole`, of a *file* that was opened at *path*: so its mode, say, is that of what is read."""
    try:
        data = file.read(most + 1)
    except OSError as error:
        raise BadInput(f"cannot read {what}: {error.strerror}", where=str(path)) from None
    if len(data) > most:
        raise BadInput(f"cannot read {what}: larger than {_size(most)}", where=str(path), hint=hint)
    return data


def _size(count: int) -> str:
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count} bytes"


def private_folder(path: Path) -> None:
    """Make *path* and what is missing above it, for this user alone; folders that are there stay as they are.

    `Path.mkdir` with `parents` gives its mode to the last folder only. Raises `OSError`.
    """
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(PRIVATE_FOLDER, exist_ok=True)


def replace_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put *data* at *path* in place of what was there, also when several processes write at once.

    The folder must exist. The file is made with *mode*, less the process's umask, before anything
    is in it. Raises `OSError`, and leaves nothing of its own behind then; only a kill may leave the
    hidden file beside *path*.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in *folder* last over a power cut. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
