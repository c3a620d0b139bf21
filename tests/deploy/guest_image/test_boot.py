# SPDX-License-Identifier: Apache-2.0
"""The image in an emulated machine: its own root and command line, and no others; every door shut.

One after another, each seconds of processor time. These files take minutes to build where the cache does not
have them, and an emulated machine takes what a busy host leaves it: most are `soak`, two in `make machine`.
"""

import re
import shutil
import subprocess
import sys

import pytest

from tests.deploy.guest_image.builder import archive_contents, initrd, parts
from tests.deploy.guest_image.machine import boot, small_image
from tests.paths import ROOT

pytestmark = [pytest.mark.live, pytest.mark.timeout(3600)]

DOORS = {
    "memory of the machine", "memory of the kernel", "ports of the machine", "another kernel", "a module",
    "writing to the root", "making the root writable", "settings of the host's firmware",
    "names of the host's firmware", "variables of the firmware", "a file system of the host",
    "a socket to the host", "typing on a serial port", "a weaker lockdown", "a swap", "a listening port",
}  # fmt: skip
FIRST_BLOCKS = 1024
"""Where the superblock of the root lies, in bytes: read before anything else."""

TABLE = """
DefinitionBlock ("", "SSDT", 2, "HOST", "REACHES", 1) {
    Device (\\_SB.TPA) {
        Name (_HID, "TPOD0001")
        OperationRegion (RAM, SystemMemory, 0x2000000, 0x10)
        Field (RAM, DWordAcc, NoLock, Preserve) { WORD, 32 }
        Method (_STA) { Return (WORD) }
    }
    Device (\\_SB.TPB) {
        Name (_HID, "TPOD0002")
        OperationRegion (RAM, SystemMemory, 0x2FFE, 0x04)
        Field (RAM, ByteAcc, NoLock, Preserve) { BYTE, 8 }
        Method (_STA) { BYTE = 1 Return (0) }
    }
    Device (\\_SB.TPC) {
        Name (_HID, "TPOD0003")
        OperationRegion (CARD, SystemMemory, 0xFEC00000, 0x20)
        Field (CARD, DWordAcc, NoLock, Preserve) { REGS, 32 }
        Method (_STA) { REGS = 0 Return (REGS) }
    }
}
"""
"""A table that reads memory, writes memory (a free byte of the first MiB), and uses a device's registers."""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A whole kernel and initrd, and a root with nothing but the program that shuts the doors."""
    return small_image(tmp_path_factory.mktemp("image"))


@pytest.mark.soak
def test_it_opens_its_verified_root_and_shuts_every_door(image, tmp_path):
    seen = boot(image, tmp_path / "log", until="stopped: fork/exec")  # the daemon, not in this root
    assert "stopped: fork/exec" in seen.said, seen.said
    assert "verified root" in seen.said, seen.said
    assert set(re.findall(r"door shut: ([^(\n]+) \(", seen.said)) == DOORS
    assert "all doors shut" in seen.said, seen.said


@pytest.mark.soak
def test_a_table_of_the_hosts_is_refused_the_memory_and_the_machine_boots_on(image, tmp_path):
    (tmp_path / "table.asl").write_text(TABLE)
    subprocess.run(["iasl", "-ve", "-p", tmp_path / "table", tmp_path / "table.asl"], check=True)
    table = ("-acpitable", f"file={tmp_path / 'table.aml'}")
    seen = boot(image, tmp_path / "log", until="stopped: fork/exec", more=table)
    refused = re.findall(r"refused the host's tables 0x\w+ bytes at (0x\w+): RAM", seen.said)
    assert list(dict.fromkeys(refused)) == ["0x2000000", "0x2ffe"], (
        seen.said
    )  # and not the device's registers
    assert "verified root" in seen.said, seen.said
    assert "all doors shut" in seen.said, seen.said


@pytest.mark.soak
def test_the_whole_image_starts_its_daemon_program(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "deploy/guest_image/guest_image.py", tmp_path], check=True, cwd=ROOT
    )
    seen = boot(tmp_path, tmp_path / "log", until="resting")
    assert not seen.ended, seen.said
    assert "all doors shut" in seen.said, seen.said
    assert re.search(r"\[U\] trustedpods-provider, version \d", seen.said), seen.said


@pytest.mark.machine
def test_a_byte_of_the_root_that_the_host_changed_ends_the_machine(image, tmp_path):
    other = tmp_path / "root.img"
    shutil.copyfile(image / "root.img", other)
    with other.open("r+b") as file:
        file.seek(FIRST_BLOCKS)
        byte = file.read(1)
        file.seek(FIRST_BLOCKS)
        file.write(bytes([byte[0] ^ 1]))
    seen = boot(image, tmp_path / "log", until="resting", root=other)
    assert seen.ended, seen.said
    assert "verified root" not in seen.said, seen.said
    assert "dm-verity device corrupted" in seen.said, seen.said


@pytest.mark.machine
def test_a_word_of_the_command_line_that_the_host_changed_ends_the_machine(image, tmp_path):
    line = (image / "cmdline").read_text().replace("lockdown=confidentiality", "lockdown=integrity")
    seen = boot(image, tmp_path / "log", until="resting", line=line)
    assert seen.ended, seen.said
    assert "stopped: the command line is not the image's" in seen.said, seen.said
    assert "verified root" not in seen.said, seen.said


@pytest.mark.soak
def test_another_root_than_the_command_lines_ends_the_machine(image, tmp_path):
    line = (image / "cmdline").read_text()
    head, _, rest = line.partition("trustedpods.root=")
    other = f"{head}trustedpods.root={'0' * 64}{rest[64:]}"
    archive = (image / "initrd.img").read_bytes()
    assert archive.count(line.encode()) == 1
    changed = tmp_path / "initrd.img"
    changed.write_bytes(archive.replace(line.encode(), other.encode()))
    seen = boot(image, tmp_path / "log", until="resting", line=other, initrd=changed)
    assert seen.ended, seen.said
    assert "verified root" not in seen.said, seen.said


@pytest.mark.soak
def test_nothing_in_the_initrd_runs_but_its_one_program(image):
    found = archive_contents((image / "initrd.img").read_bytes())
    files = {name: (mode, data) for name, (mode, data) in found.items() if mode != initrd.FOLDER_MODE}
    mode, program = files.pop("init")
    assert mode == initrd.PROGRAM_MODE
    assert program.startswith(b"\x7fELF")
    assert parts.GO_VERSION.encode() in program
    assert {mode for mode, _ in files.values()} == {initrd.DATA_MODE}
    assert set(files) == {"command_line"}
