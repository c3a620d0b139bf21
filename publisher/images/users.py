# SPDX-License-Identifier: Apache-2.0
"""Who a user's name is: found in the image's own /etc/passwd, since providers start numbers alone.

Layers are read from the last one down to the one that has the file; it is kept by that layer's digest.
"""

import re
from pathlib import Path
from typing import TypeVar

from trustedpods.manifests.spec.container import USER_NAME, Container
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.layers import removers
from trustedpods.protocol.images.runnable import MAX_USER
from trustedpods.protocol.limits import KIB
from trustedpods.publisher.images.entries import entries_at
from trustedpods.publisher.images.oci import Image

USERS = "etc/passwd"
GROUPS = "etc/group"

MAX_FILE = 64 * KIB
"""Bytes of either file: a thousand users, and images have some twenty."""

_KNOWN_FORM = re.compile(r"\+?[0-9]{1,31}|" + USER_NAME, re.ASCII)

SHOWN = 20
"""Names that a refusal lists."""

_NUMBER = re.compile(r"\+?[0-9]{1,31}", re.ASCII)

_Part = TypeVar("_Part", bound=Container)


def numbered(container: _Part, image: Image, cache: Path, where: str) -> _Part:
    """The container with numbers for the names that it, or else its image, has for user and group.

    Raises `BadInput` at *where* for a name that the image does not know, and for one of root's.
    """
    wanted = container.security_context.run_as_user
    user, _, group = image.config.user.partition(":")
    if isinstance(wanted, str):
        user, group = wanted, ""
    elif wanted is not None or user == "root":
        return container  # a number, or root, which is refused elsewhere
    parts = [user, group] if group else [user]
    if not all(map(_KNOWN_FORM.fullmatch, parts)) or all(map(_NUMBER.fullmatch, parts)):
        return container  # nothing to look up
    try:
        made = _numbers(image, user, group, cache / "layers")
    except BadInput as error:
        raise BadInput(error.what, where=where, hint=error.hint) from None
    if container.security_context.run_as_group is not None:
        made.pop("run_as_group", None)
    context = container.security_context.model_copy(update=made)
    return container.model_copy(update={"security_context": context})


def _numbers(image: Image, user: str, group: str, folder: Path) -> dict[str, int]:
    """Numbers of a user and of a group, either of which may be one already."""
    if _NUMBER.fullmatch(user):
        uid, own = _allowed(int(user), "the image's user"), None
    else:
        uid, own = _user(image, user, folder)
    made = {"run_as_user": uid}
    if group:
        gid = int(group) if _NUMBER.fullmatch(group) else _group(image, group, folder)
        if gid != own:
            made["run_as_group"] = _allowed(gid, f"the group {group!r} of the image's user")
    return made


def _user(image: Image, name: str, folder: Path) -> tuple[int, int]:
    """User and group of a name: NAME:PASSWORD:UID:GID:... (passwd(5))."""
    known: dict[str, tuple[int, int]] = {}
    for fields in _lines(image, USERS, name, folder):
        if len(fields) >= 4 and _NUMBER.fullmatch(fields[2]) and _NUMBER.fullmatch(fields[3]):
            known.setdefault(fields[0], (int(fields[2]), int(fields[3])))
    if name not in known:
        raise _unknown("user", name, USERS, [one for one, (uid, _) in known.items() if uid])
    uid, gid = known[name]
    return _allowed(uid, f"the user {name!r} of the image"), gid


def _group(image: Image, name: str, folder: Path) -> int:
    """The number of a group: NAME:PASSWORD:GID:... (group(5))."""
    known: dict[str, int] = {}
    for fields in _lines(image, GROUPS, name, folder):
        if len(fields) >= 3 and _NUMBER.fullmatch(fields[2]):
            known.setdefault(fields[0], int(fields[2]))
    if name not in known:
        raise _unknown("group", name, GROUPS, list(known))
    return known[name]


def _allowed(number: int, what: str) -> int:
    if number == 0:
        raise BadInput(f"{what} is root (0), and providers start nothing as root", hint=_HINT)
    if number > MAX_USER:
        raise BadInput(f"{what} is {number}, and no node starts one above {MAX_USER}", hint=_HINT)
    return number


_HINT = "write a number: `securityContext: {runAsUser: 10001}`, or name another user"


def _unknown(kind: str, name: str, file: str, known: list[str]) -> BadInput:
    shown = ", ".join(_text(one) for one in known[:SHOWN]) or "none but root"
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return BadInput(
        f"the image has no {kind} {_text(name)}; its /{file} has {shown}{more}",
        hint=_HINT,
    )


def _text(name: str) -> str:
    """Fit to be shown: files of images hold what they like."""
    return "".join(sign if sign.isprintable() else "?" for sign in name[:32])


def _lines(image: Image, path: str, name: str, folder: Path) -> list[list[str]]:
    """Fields of each line of a file in which *name* is looked up."""
    found = _read(image, path, folder)
    if found is None:
        text = f"{_text(name)} is a name, and the image has no /{path} in which it could stand"
        raise BadInput(text, hint=_HINT)
    return [line.split(":") for line in found.decode("utf-8", "replace").split("\n") if ":" in line]


def _read(image: Image, path: str, folder: Path) -> bytes | None:
    """The file as the whole image has it; BadInput where it is another thing, or is too large."""
    ways = {path.rpartition("/")[0]}
    for layer in reversed(image.layers):
        entries = entries_at(layer, path, ways, folder, MAX_FILE + 1)
        entry = entries.get(path)
        if entry is not None and entry.kind == "file":
            if len(entry.head) > MAX_FILE:
                raise BadInput(f"the image's /{path} has more than {MAX_FILE} bytes", hint=_HINT)
            return entry.head
        if entry is not None or any(entries[way].kind != "folder" for way in ways & entries.keys()):
            raise BadInput(f"the image's /{path} is a link, or no file, and is not followed", hint=_HINT)
        if entries.keys() & removers(path):
            break
    return None
