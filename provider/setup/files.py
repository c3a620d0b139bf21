# SPDX-License-Identifier: Apache-2.0
"""Puts files of a set-up in their place: whole or not at all, for the daemon's user, and none twice."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.ids import Address
from trustedpods.protocol.whole_file import replace_whole
from trustedpods.provider.keys.file import make_key, read_key

_FOLDER = 0o755
_PRIVATE, _PUBLIC = 0o640, 0o644


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """Who runs the daemon: its files are this user's, or may be read by its group."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of a file."""

    path: str
    state: Literal["written", "replaced", "unchanged", "removed"]


def service_user(name: str) -> ServiceUser:
    """The user of that name; `NoContext` says how to make one."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise NoContext(
            f"there is no user {name}, as whom the daemon runs",
            hint=f"useradd --system --home-dir /var/lib/trustedpods --shell /usr/sbin/nologin {name}",
        ) from None
    return ServiceUser(found.pw_uid, found.pw_gid)


def operator_key(path: Path, user: ServiceUser) -> tuple[Address, FileResult]:
    """The address of the operator's key, made now where there was none. A key that is there is never changed.

    `BadInput` where the file holds no key, or others can read it.
    """
    try:
        path.parent.mkdir(_FOLDER, parents=True, exist_ok=True)
        made = make_key(path, user.uid, user.gid)
    except OSError as error:
        raise _unwritten(path, error) from None
    return address_of(read_key(path)), FileResult(str(path), "written" if made else "unchanged")


def put(path: Path, text: str, user: ServiceUser, *, private: bool) -> FileResult:
    """Make the file hold *text*, readable by whom it should be, also where a kill came before that.

    `BadInput` says why it cannot be written.
    """
    try:
        was_there = path.exists()
        same = was_there and path.read_bytes() == text.encode()
        if not same:
            path.parent.mkdir(_FOLDER, parents=True, exist_ok=True)
            replace_whole(path, text.encode(), 0o600)
        if os.geteuid() == 0:
            os.chown(path, 0, user.gid)
        path.chmod(_PRIVATE if private else _PUBLIC)
    except OSError as error:
        raise _unwritten(path, error) from None
    return FileResult(str(path), "unchanged" if same else "replaced" if was_there else "written")


def remove(path: Path) -> list[FileResult]:
    """Take a file away that is of no use any more; nothing where there is none."""
    try:
        path.unlink()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritten(path, error) from None
    return [FileResult(str(path), "removed")]


def readable_by(path: Path, user: ServiceUser) -> bool:
    """Whether the daemon's user may read a file, by the modes of it and of the folders above it."""
    try:
        states = [part.stat() for part in (path, *path.resolve().parents)]
    except OSError:
        return False
    wanted = [0o4, *(0o1 for _ in states[1:])]
    return all(_allowed(one, user, bits) for one, bits in zip(states, wanted, strict=True))


def _allowed(state: os.stat_result, user: ServiceUser, bits: int) -> bool:
    if user.uid == 0:
        return True
    if state.st_uid == user.uid:
        return bool(state.st_mode >> 6 & bits)
    return bool((state.st_mode >> 3 if state.st_gid == user.gid else state.st_mode) & bits)


def _unwritten(path: Path, error: OSError) -> BadInput:
    hint = "run it as root" if isinstance(error, PermissionError) else None
    return BadInput(f"cannot be written: {error.strerror}", where=str(path), hint=hint)
