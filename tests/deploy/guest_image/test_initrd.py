# SPDX-License-Identifier: Apache-2.0
"""The initrd: one program and modules in their order, the same bytes, as any reader of cpio sees it."""

import subprocess

import pytest

from tests.deploy.guest_image.builder import archive_contents, initrd, kernel_module, wheels

LINE = "panic=1 trustedpods.root=00:11:2"


def test_what_is_in_it(tmp_path):
    modules = [initrd.Module("b.ko", b"module b"), initrd.Module("a.ko", b"a")]
    data = initrd.initrd(b"program", modules, LINE)
    assert data == initrd.initrd(b"program", modules, LINE)
    assert len(data) % 512 == 0
    found = archive_contents(data)
    assert {name for name, (mode, _) in found.items() if mode == initrd.FOLDER_MODE} == set(initrd.FOLDERS)
    assert found["init"] == (initrd.PROGRAM_MODE, b"program")
    assert found["command_line"] == (initrd.DATA_MODE, LINE.encode())
    assert found["modules/order"][1] == b"b.ko\na.ko\n"
    assert [name for name, (mode, _) in found.items() if mode & 0o111 and mode != initrd.FOLDER_MODE] == [
        "init"
    ]


def test_cpio_reads_it(tmp_path):
    data = initrd.initrd(b"program" * 1000, [initrd.Module("a.ko", b"a")], LINE)
    subprocess.run(["/bin/busybox", "cpio", "-id"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "init").read_bytes() == b"program" * 1000
    assert (tmp_path / "modules/a.ko").read_bytes() == b"a"


@pytest.mark.parametrize("change", ["program", "module", "order", "line"])
def test_any_change_changes_it(change):
    modules = [initrd.Module("a.ko", b"a"), initrd.Module("b.ko", b"b")]
    program, line = b"program", LINE
    before = initrd.initrd(program, modules, line)
    if change == "program":
        program = b"prograM"
    elif change == "module":
        modules[0] = initrd.Module("a.ko", b"A")
    elif change == "order":
        modules.reverse()
    else:
        line = line.replace("panic=1", "panic=0")
    assert initrd.initrd(program, modules, line) != before


def test_modules_come_after_what_they_depend_on(tmp_path):
    kernel_module(tmp_path / "fs", "erofs", "netfs,libcrc32c", compressed=True)
    kernel_module(tmp_path, "netfs")
    kernel_module(tmp_path / "lib", "libcrc32c", "crc-base")
    kernel_module(tmp_path / "lib", "crc-base")
    found = initrd.loading(tmp_path, ["erofs", "built_in", "netfs"])
    assert [one.name for one in found] == ["netfs.ko", "crc_base.ko", "libcrc32c.ko", "erofs.ko"]
    assert found[-1].data.startswith(b"\x7fELF")


def test_a_module_that_needs_another_that_is_not_there(tmp_path):
    kernel_module(tmp_path, "erofs", "netfs")
    with pytest.raises(wheels.NotBuildable, match="no module netfs, which erofs depends on"):
        initrd.loading(tmp_path, ["erofs"])
