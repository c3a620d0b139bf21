# SPDX-License-Identifier: Apache-2.0
"""What a layer takes when a node unpacks it: its archive walked header by header, nothing kept.

The archive is read as the node reads it (Go's archive/tar: ustar, pax, GNU). Where two readers could
differ, so that one counts what the other does not write, the layer is refused.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from posixpath import normpath

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.links import LayerPlaces, Links
from trustedpods.protocol.images.unpacking import unpacker
from trustedpods.protocol.limits import MAX_UNPACKED, MIB

BLOCK = 512

DISK_BLOCK = 4096
"""The least that a file takes on a usual file system, its inode included."""

MAX_ENTRIES = 1 << 20
"""Files of one layer: whole distributions have some 300,000; each costs its reader microseconds."""

MAX_EXTENDED = 1 * MIB
"""Bytes of one extended header: where Go's reader stops too."""

_LINKS = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))
"""Hard link, symbolic link, two kinds of device, directory, fifo: nothing of theirs follows the header."""

_FOLDER = b"5"
_EXTENDED = frozenset((b"x", b"g", b"L", b"K"))
_FILES = frozenset((b"0", b"\0", b"S"))
_NUMBER = re.compile(rb"[ \0]*([0-7]*)[ \0]*")
MAX_CAPABLE = 256
"""Programs with capabilities in one layer: a distribution has a handful."""

MAX_NAMES = 1 << 17
"""Names of a layer that are remembered, by their hashes, to know where hard links lead: some 10 MB."""

_SPARSE_SIZES = (b"GNU.sparse.size", b"GNU.sparse.realsize")
_CAPABILITY = b"SCHILY.xattr.security.capability"
_EFFECTIVE = 1
"""`VFS_CAP_FLAGS_EFFECTIVE` of linux/capability.h: without it a program starts with fewer rights."""


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One entry of a layer: its kind (file, folder, or other: a link, a device), mode, first bytes."""

    kind: str
    mode: int
    head: bytes = b""


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """Bytes on a node's disk (each entry in whole blocks), and programs that start only with capabilities.

    `watched` says that the layer replaces or removes the file that the reader was to watch for; `looked_at`
    has the last entry of each path that it was to look for.
    """

    unpacked: int
    capable: tuple[str, ...] = ()
    watched: bool = False
    looked_at: dict[str, LayerEntry] = field(default_factory=dict)


class LayerReader:
    """Takes a layer's bytes in pieces of any size; `finish` says what it found.

    BadInput as soon as it is more than *most* bytes unpacked, or not an archive. What it makes of the links
    of the layers below goes into *links*; *most_names* of its own names are remembered. Of files in
    *look_for* the first *head* bytes are kept, or a few more.
    """

    def __init__(
        self,
        packing: str,
        most: int = MAX_UNPACKED,
        watch: str = "",
        look_for: Collection[str] = (),
        links: Links | None = None,
        most_names: int = MAX_NAMES,
        head: int = BLOCK,
    ) -> None:
        self._unpacker = unpacker(packing)
        self._walk = _Walk(most, watch, frozenset(look_for), links, most_names, head)
        self._most = most
        self._passed = 0

    def feed(self, data: bytes) -> None:
        """The next bytes as they lie in the blob."""
        for piece in self._unpacker.feed(data):
            self._passed += len(piece)
            if self._passed > self._most + MAX_EXTENDED:
                raise _too_large(self._most)
            self._walk.feed(piece)

    def finish(self) -> LayerFacts:
        """All bytes were given."""
        self._unpacker.finish()
        return self._walk.finish()


def _too_large(most: int) -> BadInput:
    return BadInput(f"a layer unpacks to more than {most // MIB} MiB", rule="image-size")


class _Walk:
    """The state between two pieces of the plain archive."""

    def __init__(
        self,
        most: int,
        watch: str,
        look_for: frozenset[str],
        links: Links | None,
        most_names: int,
        head: int,
    ) -> None:
        self._most = most
        self._head_bytes = _blocks(head)
        self._links = links
        self._watch = {watch, *removers(watch)}
        self._watched = False
        self._look_for = look_for
        self._looked_at: dict[str, LayerEntry] = {}
        self._path = ""
        self._entries = 0
        self._held = bytearray()
        self._wanted = BLOCK
        self._skip = 0
        self._taking: Callable[[bytes], None] = self._header
        self._kind = b""
        self._extended_size = 0
        self._pax: dict[bytes, bytes] = {}
        self._long_name: bytes | None = None
        self._long_link: bytes | None = None
        self._entry = 0
        self._size = 0
        self._zeros = 0
        self._unpacked = 0
        self._capable: dict[str, bool] = {}
        self._places = LayerPlaces(most_names)

    def feed(self, piece: bytes) -> None:
        at = 0
        while at < len(piece) and self._zeros < 2:
            if self._skip:
                step = min(self._skip, len(piece) - at)
                self._skip -= step
                at += step
                continue
            step = min(self._wanted - len(self._held), len(piece) - at)
            self._held += piece[at : at + step]
            at += step
            if len(self._held) == self._wanted:
                block = bytes(self._held)
                self._held.clear()
                self._taking(block)

    def finish(self) -> LayerFacts:
        """An archive may end without its two blocks of zeros, but only between two entries."""
        open_entry = self._held or self._skip or self._entry or self._taking != self._header
        if open_entry and self._zeros < 2:
            raise BadInput("damaged: a layer's archive ends within an entry")
        capable = tuple(name for name, has in self._capable.items() if has)
        return LayerFacts(self._unpacked, capable, self._watched, self._looked_at)

    def _expect(self, taking: Callable[[bytes], None], size: int) -> None:
        self._taking, self._wanted = taking, size

    def _header(self, block: bytes) -> None:
        if not block.strip(b"\0"):
            if self._entry:
                raise BadInput("damaged: a layer's archive ends within an entry")
            self._zeros += 1
            return
        if self._zeros:
            raise BadInput("damaged: a layer's archive goes on behind a block of zeros")
        _check_sum(block)
        self._kind, size = block[156:157], _number(block[124:136])
        self._entry += BLOCK
        if self._kind in _EXTENDED:
            self._begin_extended(size)
        elif self._kind in _LINKS or self._kind in _FILES:
            self._begin_entry(block, size)
        else:
            raise BadInput(f"a layer has an entry of kind {self._kind!r}, which nodes do not unpack")

    def _begin_extended(self, size: int) -> None:
        if size > MAX_EXTENDED:
            raise BadInput(f"damaged: an extended header of {size} bytes; the bound is {MAX_EXTENDED}")
        self._extended_size = size
        self._entry += _blocks(size)
        if size:
            self._expect(self._extended, _blocks(size))
        elif self._kind == b"x":
            self._pax = {}

    def _extended(self, padded: bytes) -> None:
        data = padded[: self._extended_size]
        if self._kind == b"x":
            self._pax = _records(data)
        elif self._kind == b"L":
            self._long_name = data.split(b"\0", 1)[0]
        elif self._kind == b"K":
            self._long_link = data.split(b"\0", 1)[0]
        self._expect(self._header, BLOCK)

    def _begin_entry(self, block: bytes, size: int) -> None:
        name = self._pax.get(b"path") or self._long_name or _name(block)
        size = _decimal(self._pax[b"size"]) if self._pax.get(b"size") else size
        empty = self._kind in _LINKS or name.endswith(b"/")
        if empty and size:
            raise BadInput(f"damaged: {_shown(name)} is no file and has {size} bytes")
        whole = max(size, *(_decimal(self._pax[key]) for key in _SPARSE_SIZES if self._pax.get(key)), 0)
        self._size = size
        if self._kind == b"S":
            whole = max(whole, _number(block[483:495]))
        self._note(name, block)
        self._count(whole)
        if self._kind == b"S" and block[482]:
            self._expect(self._sparse_map, BLOCK)
        elif self._path in self._looked_at and size and self._kind in _FILES:
            self._expect(self._head, min(_blocks(size), self._head_bytes))
        else:
            self._skip = _blocks(size)
        self._pax, self._long_name, self._long_link, self._entry = {}, None, None, 0

    def _head(self, block: bytes) -> None:
        """The first bytes of a file that is looked at."""
        seen = self._looked_at[self._path]
        self._looked_at[self._path] = LayerEntry(seen.kind, seen.mode, block[: self._size])
        self._expect(self._header, BLOCK)
        self._skip = _blocks(self._size) - len(block)

    def _sparse_map(self, block: bytes) -> None:
        """More of an old GNU sparse map stands between header and data."""
        self._unpacked += BLOCK
        if not block[504]:
            self._expect(self._header, BLOCK)
            self._skip = _blocks(self._size)

    def _count(self, whole: int) -> None:
        total = self._entry + whole
        self._unpacked += -(-total // DISK_BLOCK) * DISK_BLOCK
        self._entries += 1
        if self._entries > MAX_ENTRIES:
            raise BadInput(f"a layer has more than {MAX_ENTRIES} files", rule="image-size")
        if self._unpacked > self._most:
            raise _too_large(self._most)

    def _note(self, name: bytes, block: bytes) -> None:
        """Whether the file starts only with capabilities; a later entry of its name takes its place."""
        path, target = _path(name), self._target(block)
        folder = self._kind == _FOLDER or (self._kind in _FILES and name.endswith(b"/"))
        self._places.take(path, target, hard=self._kind == b"1", folder=folder)
        if self._links is not None:
            self._links.take(path, target)
        capability, mode = self._pax.get(_CAPABILITY, b""), _number(block[100:108])
        has = len(capability) >= 4 and bool(capability[0] & _EFFECTIVE) and bool(mode & 0o111)
        self._watched = self._watched or path in self._watch
        self._path = path
        if path in self._look_for:
            file = self._kind in _FILES and not folder
            self._looked_at[path] = LayerEntry("file" if file else "folder" if folder else "other", mode)
        if has or path in self._capable:
            self._capable[path] = has
        if len(self._capable) > MAX_CAPABLE:
            raise BadInput(f"more than {MAX_CAPABLE} programs of a layer have capabilities")

    def _target(self, block: bytes) -> str | None:
        """Where a link leads, a hard one from the root; None for what is no link."""
        if self._kind not in (b"1", b"2"):
            return None
        written = self._pax.get(b"linkpath") or self._long_link or block[157:257].split(b"\0", 1)[0]
        return "/" + _path(written) if self._kind == b"1" else written.decode("utf-8", "replace")


def _path(name: bytes) -> str:
    return normpath("/" + name.decode("utf-8", "replace")).lstrip("/")


def _ways(path: str) -> list[str]:
    """The folders on the way to *path*."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def removers(path: str) -> set[str]:
    """Whiteouts after which a file of a lower layer is no longer seen: its own, or one on the way to it."""
    found: set[str] = set()
    for way in (*_ways(path), path):
        folder, slash, name = way.rpartition("/")
        found |= {f"{folder}{slash}.wh.{name}", f"{folder}{slash}.wh..wh..opq"}
    return found


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _shown(name: bytes) -> str:
    return repr(name[:80].decode("utf-8", "replace"))


def _check_sum(block: bytes) -> None:
    """The sum of all bytes, its own field taken as blanks; some writers count bytes as signed."""
    blank = block[:148] + b" " * 8 + block[156:]
    field, total = _NUMBER.fullmatch(block[148:156]), sum(blank)
    written = int(field[1] or b"0", 8) if field else -1
    if written != total and written != total - 256 * sum(byte > 127 for byte in blank):
        raise BadInput("damaged: a layer is not an archive")


def _number(field: bytes) -> int:
    """Octal text, or base 256 behind a set bit (GNU); never negative."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise BadInput("damaged: a negative number in a layer's archive")
        return int.from_bytes(bytes((field[0] & 0x3F,)) + field[1:], "big")
    text = _NUMBER.fullmatch(field)
    if text is None:
        raise BadInput("damaged: a number in a layer's archive is none")
    return int(text[1] or b"0", 8)


def _decimal(text: bytes) -> int:
    if not re.fullmatch(rb"[0-9]{1,19}", text):
        raise BadInput("damaged: a size in an extended header is no number")
    return int(text)


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _records(data: bytes) -> dict[bytes, bytes]:
    """Records of POSIX.1-2001 pax: length, blank, KEY=VALUE, line end."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        length, blank, _ = data[at : at + 20].partition(b" ")
        if not blank or not length.isdigit() or not len(length) + 3 <= int(length) <= len(data) - at:
            raise BadInput("damaged: an extended header of a layer cannot be read")
        record = data[at + len(length) + 1 : at + int(length)]
        key, equals, value = record[:-1].partition(b"=")
        if record[-1:] != b"\n" or not equals or not key:
            raise BadInput("damaged: an extended header of a layer cannot be read")
        found[key] = value
        at += int(length)
    return found
