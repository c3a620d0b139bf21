# SPDX-License-Identifier: Apache-2.0
"""The data disk is found by its serial number, and its header never lies on it."""

from pathlib import Path

import pytest

from trustedpods.localnet.commands import CommandFailed
from trustedpods.localnet.guest import data_disk


def given(devices: Path, **disks: str) -> None:
    for name, serial in disks.items():
        (devices / name).mkdir()
        (devices / name / "serial").write_text(serial)


def test_the_disk_is_the_one_with_its_serial_number(tmp_path):
    assert data_disk.attached(tmp_path) is None
    given(tmp_path, vda="trustedpods-root", vdb="trustedpods-data\n", vdc="trustedpods-config")
    assert data_disk.attached(tmp_path) == Path("/dev/vdb")


def test_a_serial_number_of_any_bytes_is_another_disks(tmp_path):
    given(tmp_path, vdb="trustedpods-data")
    (tmp_path / "vda").mkdir()
    (tmp_path / "vda" / "serial").write_bytes(b"\xff\xfe\n")
    assert data_disk.attached(tmp_path) == Path("/dev/vdb")


def test_a_serial_number_is_one_that_a_disk_can_have():
    longest = 20  # bytes, of a virtio disk
    assert len(data_disk.SERIAL) <= longest


def test_the_header_is_elsewhere_and_every_block_is_authenticated():
    words = data_disk.format_words(Path("/dev/vdb"), Path("/run/header"), Path("/run/key"))
    assert words[words.index("--header") + 1] == "/run/header"
    assert words[words.index("--integrity") + 1] == "hmac-sha256"
    assert words[words.index("--cipher") + 1] == "aes-xts-plain64"
    assert words[-1] == "/dev/vdb"


def test_no_key_is_left_where_the_disk_cannot_be_made(tmp_path):
    with pytest.raises(CommandFailed):
        data_disk.make(tmp_path / "nothing", tmp_path / "mounted", tmp_path)
    assert not (tmp_path / "data.key").exists()
    assert not (tmp_path / "mounted").exists()
