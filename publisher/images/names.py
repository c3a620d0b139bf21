# SPDX-License-Identifier: Apache-2.0
"""Names of images in an archive: what tools write, what a person types, and which one is meant. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from trustedpods.protocol.errors import BadInput

T = TypeVar("T")

MAX_SHOWN = 12
"""Names that a message lists; of more it says how many."""

_PLAIN = re.compile(r"[\w][\w./:@+-]{0,254}", re.ASCII)
"""A name that can be typed and shown."""


@dataclass(frozen=True, slots=True)
class NamedImage(Generic[T]):
    """An image, its digest, and what the archive calls it; `names` may be none, tags, or whole names."""

    names: tuple[str, ...]
    digest: str
    held: T


def choose(found: Sequence[NamedImage[T]], name: str | None) -> T:
    """The one that *name* says, or the only one. BadInput with the names to write where it is not clear.

    A name is written in full, as the archive has it, without what Docker leaves out (`docker.io/library/`,
    `:latest`), as its tag alone, or as the image's digest.
    """
    fitting = list(found) if name is None else _matching(found, name)
    if len({one.digest for one in fitting}) == 1:
        return fitting[0].held
    listed = fitting or list(found)
    names = list(dict.fromkeys(_own_name(one, found) for one in listed))
    shown = ", ".join(names[:MAX_SHOWN]) + (
        f" and {len(names) - MAX_SHOWN} more" if names[MAX_SHOWN:] else ""
    )
    if not fitting:
        raise BadInput(f"no image is named {str(name)[:255]!r}; there is: {shown}")
    what = f"{len(names)} images" + ("" if name is None else f" are named {name[:255]!r}")
    raise BadInput(f"{what} in it; there is: {shown}", hint=f"write which one: FILE:{names[0]}")


def _matching(found: Sequence[NamedImage[T]], name: str) -> list[NamedImage[T]]:
    """As it is written there, else as Docker would understand both, else by the tag."""
    written = [one for one in found if name == one.digest or name in one.names]
    meant = [one for one in found if full_name(name) in map(full_name, one.names)]
    return written or meant or [one for one in found if name in map(_tag, one.names)]


def full_name(name: str) -> str:
    """A name with what Docker leaves out: registry, `library/`, the tag `latest`."""
    path, at, digest = name.partition("@")
    first, slash, _ = path.partition("/")
    if not slash:
        path = f"docker.io/library/{path}"
    elif "." not in first and ":" not in first and first != "localhost":
        path = f"docker.io/{path}"
    elif first == "index.docker.io":
        path = "docker.io/" + path.partition("/")[2]
    if not at and ":" not in path.rpartition("/")[2]:
        path += ":latest"
    return path + at + digest


def _tag(name: str) -> str:
    return name.rpartition("/")[2].partition("@")[0].rpartition(":")[2]


def _own_name(one: NamedImage[T], found: Sequence[NamedImage[T]]) -> str:
    """A name that means this image and no other of those that were *found*."""
    for name in one.names:
        if _PLAIN.fullmatch(name) and {other.digest for other in _matching(found, name)} == {one.digest}:
            return name
    return one.digest
