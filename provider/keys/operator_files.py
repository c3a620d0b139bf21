# SPDX-License-Identifier: Apache-2.0
"""The operator's key and, while it is changed, the one that follows and the one that was: files side by side.

`operator.key` is there at every moment once it was there, with the old key or with the new one.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address
from trustedpods.protocol.whole_file import read_whole_or_none, replace_whole, sync_folder
from trustedpods.provider.keys.file import make_key, read_key

NEXT, FORMER = ".next", ".former"
"""Behind the name of the key's own file."""

HowFar = Literal["made", "switched"]

_ADDRESS_CHARACTERS = 42
_MOST = 256


@dataclass(frozen=True, slots=True)
class FormerKey:
    """The key that was; `key` is None where it was lost, and its address alone is known."""

    address: Address
    key: bytes | None


@dataclass(frozen=True, slots=True)
class OperatorKeys:
    """What the files hold."""

    current: bytes | None
    following: bytes | None
    former: FormerKey | None


def read_operator_keys(path: Path) -> OperatorKeys:
    """All three, of the key's file at *path*; None where there is no such file.

    BadInput where one cannot be read, holds no key, or is open to others: that never counts as absent.
    """
    current, following = _read(path), _read(_beside(path, NEXT))
    former = _read_former(_beside(path, FORMER))
    if former is not None and former.key is not None and former.key == current:
        former = None  # it was about to be put aside
    return OperatorKeys(current, following, former)


def change_of(path: Path) -> HowFar | None:
    """How far a change of keys is, by which files there are: nothing is read, so anybody may ask."""
    if _is_there(_beside(path, NEXT)):
        return "made"
    return "switched" if _is_there(_beside(path, FORMER)) else None


def changed_at(path: Path) -> float | None:
    """When this key was made, or its change ended, in Unix seconds, by the file's date; None without it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def make_following(path: Path, uid: int, gid: int) -> None:
    """Make the key that is to follow, unless it is there already. `OSError` as from the disk."""
    make_key(_beside(path, NEXT), uid, gid)


def switch(path: Path, lost: Address | None) -> None:
    """Put the following key in place of the present one, which is kept as the former. May be repeated.

    Where there is no present key, *lost* is its address, if anybody knows it. BadInput where another former
    key is still there. `OSError` as from the disk.
    """
    following, former = _beside(path, NEXT), _beside(path, FORMER)
    try:
        os.utime(following)  # see `changed_at`
    except FileNotFoundError:
        return
    if _is_there(path):
        try:
            os.link(path, former)
        except FileExistsError:
            _check_same(path, former, following)
    elif lost is not None and not _is_there(former):  # one that is there may be of a key with coin
        replace_whole(former, f"{lost}\n".encode(), 0o600)
        state = following.stat()
        os.chown(former, state.st_uid, state.st_gid)
    sync_folder(path.parent)
    try:
        following.replace(path)
    except FileNotFoundError:
        return  # another run of the same command was quicker
    sync_folder(path.parent)


def forget_former(path: Path) -> None:
    """Remove the former key's file. `OSError` as from the disk."""
    with suppress(FileNotFoundError):
        os.utime(path)  # before: who is killed here does this step again
    _beside(path, FORMER).unlink(missing_ok=True)
    sync_folder(path.parent)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _read(path: Path) -> bytes | None:
    return read_key(path) if _is_there(path) else None


def _is_there(path: Path) -> bool:
    """BadInput where the folder does not say."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"cannot be looked for: {error.strerror}", where=str(path)) from None
    return True


def _check_same(path: Path, former: Path, following: Path) -> None:
    """Put aside before a kill, or by another run of the same command, which may be further by now."""
    if former.read_bytes() != path.read_bytes() and _is_there(following):
        raise BadInput("an earlier key's file is still here", where=str(former))


def _read_former(path: Path) -> FormerKey | None:
    raw = read_whole_or_none(path, _MOST, "the former operator's key")
    if raw is None:
        return None
    text = raw.decode("ascii", "replace").strip()
    if text.startswith("0x") and len(text) == _ADDRESS_CHARACTERS:
        try:
            int(text, 16)
        except ValueError:
            raise BadInput("neither a key nor an address", where=str(path)) from None
        return FormerKey(Address(text), None)
    key = read_key(path)
    return FormerKey(address_of(key), key)
