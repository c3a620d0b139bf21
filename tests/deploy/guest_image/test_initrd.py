# SPDX-License-Identifier: Apache-2.0
"""The initrd: one program and its command line, the same bytes, as any reader of cpio sees it."""

import subprocess

import pytest

from tests.deploy.guest_image.builder import archive_contents, initrd

LINE = "panic=1 trustedpods.root=00:11:2"


def test_what_is_in_it():
    data = initrd.initrd(b"program", LINE)
    assert data == initrd.initrd(b"program", LINE)
    assert len(data) % 512 == 0
    found = archive_contents(data)
    assert {name for name, (mode, _) in found.items() if mode == initrd.FOLDER_MODE} == set(initrd.FOLDERS)
    assert {name: entry for name, entry in found.items() if entry[0] != initrd.FOLDER_MODE} == {
        "init": (initrd.PROGRAM_MODE, b"program"),
        "command_line": (initrd.DATA_MODE, LINE.encode()),
    }


def test_cpio_reads_it(tmp_path):
    data = initrd.initrd(b"program" * 1000, LINE)
    subprocess.run(["/bin/busybox", "cpio", "-id"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"program" * 1000
    assert (tmp_path / "command_line").read_text() == LINE


@pytest.mark.parametrize(("program", "line"), [(b"prograM", LINE), (b"program", LINE.replace("1", "0", 1))])
def test_any_change_changes_it(program, line):
    assert initrd.initrd(program, line) != initrd.initrd(b"program", LINE)
