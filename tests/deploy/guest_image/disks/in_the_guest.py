# SPDX-License-Identifier: Apache-2.0
"""What runs in the machine in the supervisor's place: it makes the data disk by the image's own module, and
writes and reads as the host asks. The machine has no way in, so the host's words come on its configuration
disk, behind the text: a byte for the verb, a digit for the version.

m  the disk was made        w  write the file in this version      r  read it again, block by block
s  look for old content on the opened disk                         e  write without an end
"""

import functools
import mmap
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append("/usr/lib/trustedpods/site")

from trustedpods.localnet.guest import data_disk

BLOCK = 4096
BLOCKS = 1024
EVERY = 8
"""Of so many blocks one is looked at for old content: the kernel writes a line for each that it refuses."""

MARK = b"this was written into a pod's volume"
MOUNTED, MEMORY, OPENED = Path("/var/data"), Path("/run/trustedpods"), Path("/dev/mapper/trustedpods-data")
ASKED_AT = 128 << 10
"""Bytes: behind the longest configuration."""

LOOK_S = 0.1


def content(version: int, number: int) -> bytes:
    """Of one block: each is another, and says its version."""
    return (MARK + b" %d %d\n" % (version, number)).ljust(BLOCK, b".")


def say(text: str) -> None:
    """On the console."""
    sys.stdout.write(f"disk: {text}\n")
    sys.stdout.flush()


def asked() -> Path:
    """The configuration disk."""
    for file in Path("/sys/block").glob("vd*/serial"):
        if file.read_text().strip() == "trustedpods-config":
            return Path("/dev", file.parent.name)
    raise SystemExit("no configuration disk")


@functools.cache
def opened(path: Path) -> int:
    """Once: a folder that cannot be read any more does not hide what its files have."""
    return os.open(path, os.O_RDONLY | os.O_DIRECT)


def blocks(path: Path, numbers: range):
    """These blocks of *path*, past the kernel's cache; None where reading it is an error."""
    room, descriptor = mmap.mmap(-1, BLOCK), opened(path)
    for number in numbers:
        try:
            yield bytes(room) if os.preadv(descriptor, [room], number * BLOCK) == BLOCK else None
        except OSError:
            yield None


def write(version: int) -> None:
    """All of the file, and wait until the disk has it."""
    with (MOUNTED / "volume").open("r+b" if (MOUNTED / "volume").exists() else "wb") as file:
        for number in range(BLOCKS):
            file.write(content(version, number))
        file.flush()
        os.fsync(file.fileno())


def judged(version: int, number: int, block: bytes | None) -> str:
    """A block of the file: as written, refused, of the version before, or something else."""
    if block is None:
        return "refused"
    if block == content(version, number):
        return "right"
    return "old" if block == content(version - 1, number) else "wrong"


def read(version: int) -> str:
    """How many blocks of the file are what, with nothing of the disk left in memory."""
    Path("/proc/sys/vm/drop_caches").write_text("3")
    found = Counter(
        judged(version, number, block)
        for number, block in enumerate(blocks(MOUNTED / "volume", range(BLOCKS)))
    )
    return " ".join(f"{kind}={found[kind]}" for kind in ("right", "refused", "old", "wrong"))


def old_content() -> str:
    """Of every some blocks of the opened disk: how many can be read, and hold something of a volume."""
    with OPENED.open("rb") as disk:
        count = disk.seek(0, os.SEEK_END) // BLOCK
    looked = range(0, count, EVERY)
    readable = [block for block in blocks(OPENED, looked) if block is not None]
    return f"blocks={len(looked)} readable={len(readable)} marked={sum(MARK in block for block in readable)}"


def answer(verb: str, version: int) -> str:
    """What was asked, done."""
    if verb == "w":
        write(version)
        return "written"
    if verb == "r":
        return read(version)
    if verb == "s":
        return old_content()
    say("e: writing")
    while True:
        version += 1
        write(version % 10)


def main() -> None:
    """Make the disk, then do what is asked, for ever."""
    device = data_disk.attached()
    assert device is not None
    data_disk.make(device, MOUNTED, MEMORY)
    say(f"made with {sorted(path.name for path in MOUNTED.iterdir())}")
    disk, before = asked(), b""
    while True:
        (block,) = blocks(disk, range(ASKED_AT // BLOCK, ASKED_AT // BLOCK + 1))
        assert block is not None
        words = block[:8]
        if words != before and words.strip(b"\0"):
            before = words
            turn, verb, version = words.decode().strip("\0\n").split(" ")
            say(f"{turn} {verb}: {answer(verb, int(version))}")
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main()
