# SPDX-License-Identifier: Apache-2.0
"""What the host measures of an emulated machine is of what it boots, and of nothing that comes later."""

from pathlib import Path

import pytest

from tests.deploy.guest_image.builder import verity
from tests.localnet.emulated.test_files import image
from trustedpods.guest.machine import CONSOLE_WORDS
from trustedpods.guest.measure import ImageFiles, measure_snp
from trustedpods.guest.processors import MachineShape
from trustedpods.localnet.emulated import boot_files
from trustedpods.protocol.errors import BadInput

ROOT_BYTES = bytes(range(256)) * 64


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An image whose command line has the hash of its root, which has some blocks."""
    (tmp_path / "image").mkdir()
    folder = image(tmp_path / "image")
    rooted(folder, ROOT_BYTES)
    return folder


def rooted(folder: Path, content: bytes) -> None:
    """Another root, and the command line of it."""
    (folder / "root.img").write_bytes(content)
    root = verity.append_tree(folder / "root.img")
    line = f"rdinit=/init lockdown=confidentiality trustedpods.root={root.digest}:{root.salt}:{root.blocks}"
    (folder / "cmdline").write_text(line)


def test_it_is_the_launch_digest_of_the_very_files_that_are_booted(made: Path, tmp_path: Path) -> None:
    machine = boot_files.keep(made, tmp_path / "boot")
    (tmp_path / "line").write_text(machine.line)
    booted = ImageFiles(made / "OVMF.snp.fd", machine.kernel, machine.initrd, tmp_path / "line")
    (expected,) = measure_snp(booted, [MachineShape(boot_files.VCPUS, boot_files.MODEL)]).snp
    assert boot_files.measurement(tmp_path / "boot") == expected.digest == boot_files.measured(made)
    assert machine.line == (made / "cmdline").read_text() + CONSOLE_WORDS
    assert machine.vcpus == boot_files.VCPUS


@pytest.mark.parametrize("name", ["vmlinuz", "initrd.img", "OVMF.snp.fd"])
def test_one_byte_is_another_measurement_and_what_is_booted_stays(
    made: Path, tmp_path: Path, name: str
) -> None:
    machine, before = boot_files.keep(made, tmp_path / "boot"), boot_files.measured(made)
    kept = machine.kernel.read_bytes(), machine.initrd.read_bytes()
    content = bytearray((made / name).read_bytes())
    content[8] ^= 1
    (made / name).write_bytes(content)
    assert (machine.kernel.read_bytes(), machine.initrd.read_bytes()) == kept
    assert boot_files.measurement(tmp_path / "boot") == before
    assert boot_files.measured(made) != before


def test_one_byte_of_the_root_is_another_measurement(made: Path) -> None:
    before, content = boot_files.measured(made), bytearray(ROOT_BYTES)
    content[5000] ^= 1
    rooted(made, bytes(content))
    assert boot_files.measured(made) != before


def test_one_word_of_the_command_line_is_another_measurement(made: Path) -> None:
    before, line = boot_files.measured(made), (made / "cmdline").read_text()
    (made / "cmdline").write_text(line.replace("lockdown=confidentiality", "lockdown=integrity"))
    assert boot_files.measured(made) != before


def test_what_cannot_be_measured_is_not_booted(made: Path, tmp_path: Path) -> None:
    boot_files.keep(made, tmp_path / "boot")
    (made / "OVMF.snp.fd").write_bytes(b"no firmware")
    with pytest.raises(BadInput, match="firmware"):
        boot_files.keep(made, tmp_path / "boot")
    with pytest.raises(BadInput):
        boot_files.measurement(tmp_path / "boot")
    (made / "OVMF.snp.fd").unlink()
    with pytest.raises(BadInput, match=r"it has no OVMF\.snp\.fd"):
        boot_files.machine(made)


def test_a_measurement_is_hexadecimal(tmp_path: Path) -> None:
    (tmp_path / "measurement").write_text("x" * 96)
    with pytest.raises(BadInput, match="no measurement"):
        boot_files.measurement(tmp_path)
