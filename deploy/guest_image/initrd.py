# SPDX-License-Identifier: Apache-2.0
"""The initrd: one program, the modules that it loads and their order, the command line that it accepts.

A cpio archive (newc) with fixed times, owners and inode numbers. It is not compressed: a decompressor
would be one more program that has to be the same everywhere, for 3 MiB.
"""

import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wheels import NotBuildable

FOLDERS = ("dev", "modules", "proc", "root", "run", "sys")
FOLDER_MODE: Final = 0o040755
PROGRAM_MODE: Final = 0o100755
DATA_MODE: Final = 0o100644
_ALIGNED: Final = 4
_BLOCK: Final = 512
"""What cpio pads a whole archive to."""

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the archive."""

    name: str
    mode: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Module:
    """A kernel module as the kernel takes it: not compressed, with the signature behind it."""

    name: str
    data: bytes


def archive(entries: list[Entry]) -> bytes:
    """A cpio archive of these, numbered as they stand."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1):
        links = 2 if entry.mode == FOLDER_MODE else 1
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % _ALIGNED) + entry.data
        out += bytes(-len(out) % _ALIGNED)
    return bytes(out) + bytes(-len(out) % _BLOCK)


def initrd(program: bytes, modules: list[Module], command_line: str) -> bytes:
    """The archive of *program* as /init, with *modules* in the order of loading."""
    entries = [Entry(name, FOLDER_MODE) for name in FOLDERS]
    entries.append(Entry("init", PROGRAM_MODE, program))
    entries.append(Entry("command_line", DATA_MODE, command_line.encode()))
    entries += [Entry(f"modules/{one.name}", DATA_MODE, one.data) for one in modules]
    entries.append(Entry("modules/order", DATA_MODE, order(modules)))
    return archive(entries)


def order(modules: list[Module]) -> bytes:
    """The names of *modules*, a line each."""
    return "".join(f"{one.name}\n" for one in modules).encode()


def loading(folder: Path, wanted: list[str]) -> list[Module]:
    """The modules of these names, each behind what it depends on.

    *folder* has the modules of one kernel, anywhere below. What is not there is built in:
    NotBuildable only for a module that another one depends on.
    """
    files = {_name(path): path for path in sorted(folder.rglob("*.ko*"))}
    found: dict[str, Module] = {}

    def add(name: str, because: str) -> None:
        if name in found:
            return
        if name not in files:
            raise NotBuildable(f"the kernel has no module {name}, which {because} depends on")
        data = _plain(files[name])
        depends = _DEPENDS.search(data)
        for other in (depends[1].decode() if depends else "").split(","):
            if other:
                add(other.replace("-", "_"), name)
        found[name] = Module(f"{name}.ko", data)

    for name in wanted:
        if name in files:
            add(name, name)
    return list(found.values())


def _name(path: Path) -> str:
    return path.name.partition(".")[0].replace("-", "_")


def _plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix != ".ko":
        raise NotBuildable(f"{path.name} is compressed in a way that is not known here")
    return data
