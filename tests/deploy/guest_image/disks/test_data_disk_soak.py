# SPDX-License-Identifier: Apache-2.0
"""What the host can do to a machine's data disk: with the image's kernel, init, tools and module.

A block that the host changed is an error; what a boot before wrote never opens, wherever that boot was cut
off; an old block of the same boot at its own place is taken, as the page says.
"""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from tests.deploy.guest_image.builder import FOLDER, debian_packages, image, parts, pins, root_tree, staging
from tests.deploy.guest_image.disks.in_the_guest import ASKED_AT, BLOCK, BLOCKS, EVERY
from tests.deploy.guest_image.machine import LONGEST, MEMORY_MIB, small_image
from tests.paths import ROOT
from trustedpods.guest.attached.configuration_disk import configuration_disk
from trustedpods.guest.attached.devices import Attached, attached_words
from trustedpods.guest.machine import Platform, machine_of, qemu_words
from trustedpods.localnet.cluster import binaries

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1800)]

DISK_BYTES = 32 << 20
LEAST_RUN = BLOCKS // 2
"""The file's blocks are the longest run of changed ones: the integrity's own journal has fewer."""

OURS = {
    "protocol/errors.py": ROOT / "protocol/errors.py",
    "localnet/commands.py": ROOT / "deploy/localnet/commands.py",
    "localnet/guest/data_disk.py": ROOT / "deploy/localnet/guest/data_disk.py",
}
"""What makes the disk, and what that imports; the packages around them are empty here."""

LAUNCHER = "#!/usr/bin/python3 -IB\n"
LOOK_S = 0.1
T = TypeVar("T")


def fill(root: Path) -> None:
    """Debian's part of the image, the image's module for the disk, a program in the supervisor's place."""
    pinned = pins.read((FOLDER / "pins.txt").read_text()).packages
    kept = [pin for pin in pinned if not pin.name.startswith(parts.KERNEL)]
    root_tree.unpack(debian_packages.fetched(kept, binaries.cache()), root)
    root_tree.complete(root)
    site = root / image.OURS / "site" / "trustedpods"
    for name, path in OURS.items():
        staging.put(site / name, path.read_bytes(), 0o644)
    for package in ("", "protocol", "localnet", "localnet/guest"):
        staging.put(site / package / "__init__.py", b"", 0o644)
    program = LAUNCHER + Path(__file__).with_name("in_the_guest.py").read_text()
    staging.put(root / image.OURS / "bin" / "trustedpods-supervisor", program.encode(), 0o755)


@pytest.fixture(scope="module")
def booted(tmp_path_factory):
    """The image."""
    return small_image(tmp_path_factory.mktemp("image"), fill)


@dataclass
class Guest:
    """A machine that runs, with what the host has of it."""

    disk: Path
    log: Path
    asking: Path
    running: "subprocess.Popen[bytes]"
    turns: int = field(default=0)

    def until(self, found: Callable[[], T | None]) -> T:
        """What *found* returns, as soon as it is not None; the machine must not end before."""
        end = time.monotonic() + LONGEST
        while True:
            ended = self.running.poll() is not None
            if (answer := found()) is not None:
                return answer
            if ended or time.monotonic() > end:
                raise AssertionError(self.log.read_text(errors="replace")[-4000:])
            time.sleep(LOOK_S)

    def wait(self, begin: str) -> str:
        """The rest of the line that begins so."""

        def found() -> str | None:
            said = re.search(rf"disk: {begin}(.*)\n", self.log.read_text(errors="replace"))
            return said[1].strip() if said else None

        return self.until(found)

    def tell(self, verb: str, version: int) -> str:
        """Say it on the configuration disk; returns how the answer begins."""
        self.turns += 1
        with self.asking.open("r+b") as file:
            file.seek(ASKED_AT)
            file.write(f"{self.turns} {verb} {version}\n".encode().ljust(BLOCK, b"\0"))
        return f"{self.turns} {verb}: "

    def ask(self, verb: str, version: int = 0) -> str:
        """The guest's answer."""
        return self.wait(self.tell(verb, version))


@contextmanager
def guest(booted: Path, folder: Path, disk: Path) -> Iterator[Guest]:
    """A boot with this data disk; the machine's power is cut at the end."""
    folder.mkdir()
    asking, log = folder / "configuration.disk", folder / "log"
    asking.write_bytes(configuration_disk(b"{}").ljust(ASKED_AT + BLOCK, b"\0"))
    machine = machine_of(
        booted, Platform.EMULATION, vcpus=2, model="EPYC-v4", memory_mib=MEMORY_MIB, console=True
    )
    words = [*qemu_words(machine), *attached_words(Platform.EMULATION, Attached(asking, disk))]
    with log.open("wb") as console, subprocess.Popen(
        ["nice", "-n", "19", *words], stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT
    ) as running:  # fmt: skip
        try:
            yield Guest(disk, log, asking, running)
        finally:
            running.kill()


def changed_run(before: bytes, after: bytes) -> range:
    """The longest run of blocks in which two states of the disk differ."""
    longest, begin = range(0), None
    for number in range(len(after) // BLOCK + 1):
        place = slice(number * BLOCK, (number + 1) * BLOCK)
        if before[place] != after[place]:
            begin = number if begin is None else begin
        elif begin is not None:
            longest, begin = max(longest, range(begin, number), key=len), None
    return longest


def flip(disk: Path, block: int) -> None:
    """One bit in the middle of it."""
    with disk.open("r+b") as file:
        file.seek(block * BLOCK + BLOCK // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


@dataclass(frozen=True)
class Told:
    """The answers of one boot, in the order in which they were given."""

    made: str
    first: str
    found: str
    flipped: str
    mended: str
    old: Path
    cut: Path


@pytest.fixture(scope="module")
def told(booted, tmp_path_factory):
    """One boot in which the host does everything to the disk, and whose power is cut while it writes."""
    folder = tmp_path_factory.mktemp("told")
    disk, old, cut = folder / "data.disk", folder / "old.disk", folder / "cut.disk"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    with guest(booted, folder / "boot", disk) as machine:
        made = machine.wait("made with ")
        assert machine.ask("w", 1) == "written"
        first, found = machine.ask("r", 1), machine.ask("s")
        shutil.copyfile(disk, old)
        assert machine.ask("w", 2) == "written"
        run = changed_run(old.read_bytes(), disk.read_bytes())
        assert len(run) >= LEAST_RUN
        block = run[len(run) // 4]  # what was written early is in its place, and in no journal
        flip(disk, block)
        flipped = machine.ask("r", 2)
        flip(disk, block)
        mended = machine.ask("r", 2)
        machine.tell("e", 2)
        machine.wait("e: writing")
        written = disk.read_bytes()
        machine.until(lambda: disk.read_bytes() != written or None)
    shutil.copyfile(disk, cut)
    return Told(made, first, found, flipped, mended, old, cut)


def test_what_is_written_is_read_again(told):
    assert told.made == "['lost+found']"
    assert told.first == f"right={BLOCKS} refused=0 old=0 wrong=0"


def test_a_bit_that_the_host_changes_is_an_error_and_nothing_else_is(told):
    assert told.flipped == f"right={BLOCKS - 1} refused=1 old=0 wrong=0"
    assert told.mended == f"right={BLOCKS} refused=0 old=0 wrong=0"


def test_the_disk_of_before_put_back_in_the_same_boot_reads_as_old_or_not_at_all(booted, tmp_path):
    """Which of the two depends on what the machine has in memory; never anything else."""
    disk = tmp_path / "data.disk"
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    with guest(booted, tmp_path / "boot", disk) as machine:
        assert machine.ask("w", 1) == "written"
        old = disk.read_bytes()
        assert machine.ask("w", 2) == "written"
        assert machine.ask("r", 2) == f"right={BLOCKS} refused=0 old=0 wrong=0"
        with disk.open("r+b") as file:  # in place: a disk never gets shorter under the machine
            file.write(old)
        found = dict(word.split("=") for word in machine.ask("r", 2).split())
    assert int(found["old"]) + int(found["refused"]) > 0
    assert int(found["wrong"]) == 0


@pytest.mark.parametrize("kind", ["old", "cut"])
def test_what_an_earlier_boot_wrote_never_opens(booted, told, kind, tmp_path):
    """The whole disk of before put back, and the one on which the power was cut in the middle of writing."""
    found = dict(word.split("=") for word in told.found.split())
    assert int(found["marked"]) >= BLOCKS // EVERY - 1  # within its own boot the same look finds it
    with guest(booted, tmp_path / "boot", getattr(told, kind)) as machine:
        assert machine.wait("made with ") == "['lost+found']"
        assert dict(word.split("=") for word in machine.ask("s").split())["marked"] == "0"
        assert machine.ask("w", 3) == "written"
        assert machine.ask("r", 3) == f"right={BLOCKS} refused=0 old=0 wrong=0"
