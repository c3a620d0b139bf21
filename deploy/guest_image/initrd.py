# SPDX-License-Identifier: Apache-2.0
"""The initrd: one program, and the command line that it accepts.

A cpio archive (newc) with fixed times, owners and inode numbers. It is not compressed: a decompressor
would be one more program that has to be the same everywhere, for 2 MiB.
"""

from dataclasses import dataclass
from typing import Final

FOLDERS = ("dev", "proc", "root", "run", "sys")
FOLDER_MODE: Final = 0o040755
PROGRAM_MODE: Final = 0o100755
DATA_MODE: Final = 0o100644
_ALIGNED: Final = 4
_BLOCK: Final = 512
"""What cpio pads a whole archive to."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the archive."""

    name: str
    mode: int
    data: bytes = b""


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


def initrd(program: bytes, command_line: str) -> bytes:
    """The archive of *program* as /init: the kernel has everything else built in."""
    entries = [Entry(name, FOLDER_MODE) for name in FOLDERS]
    entries.append(Entry("init", PROGRAM_MODE, program))
    entries.append(Entry("command_line", DATA_MODE, command_line.encode()))
    return archive(entries)
