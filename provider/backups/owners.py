# SPDX-License-Identifier: Apache-2.0
"""Whose files are: by name, as on another machine the daemon's user has another number."""

import grp
import os
import pwd
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import NoContext

_UNCHANGED = -1


@dataclass(frozen=True, slots=True)
class FileOwner:
    """As chown(2) takes it; -1 leaves that half as it is."""

    uid: int = _UNCHANGED
    gid: int = _UNCHANGED


def names_of(state: os.stat_result) -> tuple[str, str]:
    """User and group of a file; empty where this machine has no name for one."""
    try:
        user = pwd.getpwuid(state.st_uid).pw_name
    except KeyError:
        user = ""
    try:
        group = grp.getgrgid(state.st_gid).gr_name
    except KeyError:
        group = ""
    return user, group


def owner_of(user: str, group: str) -> FileOwner:
    """The owner of these names here; only root gives files away. NoContext where root finds no such user."""
    if os.geteuid() != 0:
        return FileOwner()
    try:
        uid = pwd.getpwnam(user).pw_uid if user else _UNCHANGED
        gid = grp.getgrnam(group).gr_gid if group else _UNCHANGED
    except KeyError:
        raise NoContext(
            f"there is no user {user}, or no group {group}, whose files these are",
            hint="install the package, which makes the daemon's user, and restore then",
        ) from None
    return FileOwner(uid, gid)


def give(path: Path, owner: FileOwner) -> None:
    """Make *path* that owner's, never what a link leads to. Raises `OSError`."""
    if owner != FileOwner():
        os.chown(path, owner.uid, owner.gid, follow_symlinks=False)


def make_folder(folder: Path, owner: FileOwner) -> None:
    """Make *folder* and what is missing above it, that owner's and closed to others.

    Raises `OSError`.
    """
    for one in (*reversed(folder.parents), folder):
        if not one.is_dir():
            one.mkdir(0o700)
            give(one, owner)


@contextmanager
def private_folder(parent: Path, what: str) -> Iterator[Path]:
    """A folder in *parent* for this user alone, as keys lie in it; gone behind the block."""
    folder = parent / f".trustedpods-{what}-{secrets.token_hex(8)}"
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
