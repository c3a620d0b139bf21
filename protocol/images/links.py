# SPDX-License-Identifier: Apache-2.0
"""The symbolic and hard links of an image, layer over layer, and where a path leads in it. Pure."""

from posixpath import dirname, normpath

from trustedpods.protocol.errors import BadInput

MAX_LINKS = 1 << 17
"""A whole distribution has some ten thousand; links beyond are not followed."""

MAX_LINK_TEXT = 4 << 20
"""Signs of paths and targets of one layer's links; a distribution's have some hundred thousand."""

MAX_PATH = 4096
"""Signs of a path or a link's target: Linux takes none of more bytes (PATH_MAX in linux/limits.h)."""

MAX_STEPS = 1 << 22
"""Names on the ways to one layer's entries, some seconds' work; a distribution's have a million."""

MAX_FOLLOWED = 40
"""Links on one way, as in Linux (MAXSYMLINKS in linux/namei.h)."""

_WHITEOUT = ".wh."
_UNREADABLE = "\ufffd"
"""Stands for bytes that are no UTF-8: two files whose names have it may be one here."""

_NO = "nodes cannot unpack it"


class Links:
    """What each layer's entries make of the links below; paths are relative to the root, without `..`.

    `steps` counts the names that were passed on all ways.
    """

    def __init__(self) -> None:
        self._targets: dict[str, str] = {}
        self.steps = 0

    def take(self, path: str, target: str | None) -> None:
        """The next entry of a layer: a link to *target*, or anything else in its place (None)."""
        folder, _, name = path.rpartition("/")
        if name.startswith(_WHITEOUT):
            gone = name.removeprefix(_WHITEOUT)
            self._targets.pop(f"{folder}/{gone}" if folder else gone, None)
        elif target is None:
            self._targets.pop(path, None)
        elif path in self._targets or len(self._targets) < MAX_LINKS:
            self._targets[path] = target

    def resolve(self, path: str) -> str:
        """Where *path* leads, followed as in a container; itself where links go round in circles."""
        waiting = path.split("/")[::-1]
        reached = ""
        followed = 0
        while waiting:
            part = waiting.pop()
            self.steps += 1
            if part in ("", "."):
                continue
            if part == "..":
                reached = dirname(reached)
                continue
            there = f"{reached}/{part}".lstrip("/")
            target = self._targets.get(there)
            if target is None:
                reached = there
                continue
            followed += 1
            if followed > MAX_FOLLOWED:
                return normpath("/" + path).lstrip("/")
            waiting += target.split("/")[::-1]
            reached = "" if target.startswith("/") else reached
        return reached


class LayerPlaces:
    """Where one layer's own entries come to lie, as nodes unpack each layer by itself. Pure.

    Folders on the way to an entry, and to what a hard link names, lead where links of that very layer
    lead (containerd's `hardlinkRootPath`); links of the layers below count for nothing.
    """

    def __init__(self, most: int, most_steps: int = MAX_STEPS) -> None:
        """Of *most* entries the places are remembered, by their hashes; ways end with *most_steps* names."""
        self._most = most
        self._most_steps = most_steps
        self._places: set[int] = set()
        self._folders: set[int] = set()
        self._links = Links()
        self._text = 0

    def take(self, path: str, target: str | None, *, hard: bool = False, folder: bool = False) -> None:
        """Take the next entry; BadInput if nodes surely cannot unpack it there.

        A hard link's *target* is from the root. Behind more than is remembered a node may know better.
        """
        _check_length(path, path)
        _check_length(path, target or "")
        if len(self._places) >= self._most or self._text > MAX_LINK_TEXT:
            return
        if self._links.steps > self._most_steps:
            return
        place = self._place(path)
        _check_length(path, place)
        self._check_way(path, place)
        if hard and target is not None:
            self._check_hard(path, place, target)
        self._places.add(hash(place))
        if folder:
            self._folders.add(hash(place))
        else:
            self._folders.discard(hash(place))
        self._links.take(place, target)
        self._text += 0 if target is None else len(place) + len(target)

    def _place(self, path: str) -> str:
        """The last name is not followed."""
        folder, _, name = path.rpartition("/")
        return f"{self._links.resolve(folder)}/{name}".lstrip("/")

    def _check_way(self, path: str, place: str) -> None:
        at = place.find("/")
        while at > 0:
            way = hash(place[:at])
            if way in self._places and way not in self._folders and _UNREADABLE not in place[:at]:
                raise BadInput(
                    f"a layer has {path[:80]!r} below {place[:at][:80]!r}, which is no folder; {_NO}"
                )
            at = place.find("/", at + 1)

    def _check_hard(self, path: str, place: str, target: str) -> None:
        """What stands in a link's place is taken away before the link is made."""
        named = self._place(target)
        link = f"a layer's hard link {path[:80]!r} leads to {target[:80]!r}"
        if hash(named) not in self._places or f"{named}/".startswith(f"{place}/"):
            raise BadInput(f"{link}, which is not before it in that layer; {_NO}")
        if hash(named) in self._folders and _UNREADABLE not in named:
            raise BadInput(f"{link}, which is a folder; {_NO}")


def _check_length(path: str, whole: str) -> None:
    """What is asked of each sign or name of a path has an end."""
    if len(whole) > MAX_PATH:
        raise BadInput(f"a layer's {path[:80]!r} has a path of more than {MAX_PATH} bytes; {_NO}")
