# SPDX-License-Identifier: Apache-2.0
"""Parts: kept under the hash of their inputs; the initrd's program is the same from any folder."""

import shutil

import pytest

from tests.deploy.guest_image.builder import EPOCH, FOLDER, parts, pins, wheels


def copied(folder, change=""):
    shutil.copytree(FOLDER / "init", folder)
    if change:
        (folder / "main.go").write_text((folder / "main.go").read_text() + change)
    return folder


def test_the_initrds_program_is_the_same_from_any_folder(tmp_path):
    first = parts.init_program(copied(tmp_path / "one"), tmp_path / "cache one")
    second = parts.init_program(copied(tmp_path / "two" / "further"), tmp_path / "cache two")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()
    assert b"/bin/sh" not in first.read_bytes()
    parts.same_go(first)


def test_another_source_is_another_part(tmp_path):
    first = parts.init_program(copied(tmp_path / "one"), tmp_path)
    second = parts.init_program(copied(tmp_path / "two", "\n// said otherwise\n"), tmp_path)
    assert first != second
    made = first.stat().st_ino
    assert parts.init_program(tmp_path / "one", tmp_path).stat().st_ino == made


def test_a_part_that_fails_is_not_kept(tmp_path):
    def fails(made):
        made.write_text("half")
        raise wheels.NotBuildable("no")

    with pytest.raises(wheels.NotBuildable):
        parts.kept_part(tmp_path / "part", fails)
    assert list(tmp_path.iterdir()) == []


def of_one_kind(folder, **changed):
    """Parts that are small files."""
    pinned = pins.Pins(EPOCH, (pins.Pin("linux-image-1", "1", "a" * 64), pins.Pin("runc", "1", "b" * 64)))
    for name in ("wheel", "kube", "plugin", "init", "a.deb", "b.deb"):
        (folder / name).write_text(changed.get(name, name))
    packages = (folder / "a.deb", folder / "b.deb")
    programs = {"kube": folder / "kube"}
    return parts.Parts(pinned, packages, (folder / "wheel",), programs, folder / "plugin", folder / "init")


@pytest.mark.parametrize("name", ["wheel", "kube", "plugin", "init"])
def test_each_part_is_in_the_key(tmp_path, name):
    key = of_one_kind(tmp_path).key()
    assert of_one_kind(tmp_path).key() == key
    assert of_one_kind(tmp_path, **{name: "another"}).key() != key


def test_there_is_one_kernel(tmp_path):
    found = of_one_kind(tmp_path)
    assert parts.kernel_of(found) == tmp_path / "a.deb"
    none = parts.Parts(pins.Pins(EPOCH, ()), (), (), {}, found.plugin, found.init)
    with pytest.raises(wheels.NotBuildable, match="0 kernels"):
        parts.kernel_of(none)


def test_a_program_of_another_go_is_refused(tmp_path):
    with pytest.raises(wheels.NotBuildable, match="make setup"):
        parts.same_go(tmp_path / "nothing")
