# SPDX-License-Identifier: Apache-2.0
"""Directories that a manifest names: all files below one, bounded before anything is read."""

import os
from collections.abc import Iterator
from pathlib import Path

from trustedpods.protocol.errors import BadInput

MAX_DEPTH = 8
"""Folders below the named one: as deep as a seed's paths go."""

MAX_ENTRIES = 4096
"""Names of files and folders that are looked at: a directory with more is not the one that was meant."""


def files_below(folder: Path, most: int, where: str, *, nested: bool) -> dict[str, Path]:
    """The files of *folder* by their paths below it, sorted; those of its folders too where *nested*.

    Raises `BadInput` at *where* for a link or a device, for a folder where none may be, for more than *most*
    files, and where something cannot be read. A link is not followed: it could lead to a file that was not
    meant to be sent.
    """
    if not folder.is_dir():
        what = f"no such directory: {folder}" if not folder.exists() else f"not a directory: {folder}"
        raise BadInput(what, where=where)
    found: dict[str, Path] = {}
    for seen, (path, entry) in enumerate(_entries(folder, "", where, nested=nested)):
        if seen >= MAX_ENTRIES:
            raise BadInput(f"{folder} has more than {MAX_ENTRIES} entries", where=where)
        if entry.is_file(follow_symlinks=False):
            found[path] = Path(entry.path)
        elif not entry.is_dir(follow_symlinks=False):
            kind = "a link" if entry.is_symlink() else "no plain file"
            raise BadInput(f"{entry.path} is {kind}: put a file of its own there", where=where)
        if len(found) > most:
            raise BadInput(f"{folder} has more than {most} files", where=where)
    return dict(sorted(found.items()))


def _entries(
    folder: Path, prefix: str, where: str, *, nested: bool
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    """Entries with their paths, each folder before what is in it."""
    try:
        with os.scandir(folder) as listed:
            for entry in listed:
                path = prefix + entry.name
                yield path, entry
                if entry.is_dir(follow_symlinks=False):
                    if not nested:
                        raise BadInput(f"{entry.path} is a folder: only files can be here", where=where)
                    if path.count("/") + 1 >= MAX_DEPTH:
                        raise BadInput(f"{entry.path} lies deeper than {MAX_DEPTH} folders", where=where)
                    yield from _entries(Path(entry.path), path + "/", where, nested=True)
    except OSError as error:
        raise BadInput(f"cannot read {folder}: {error.strerror}", where=where) from None
