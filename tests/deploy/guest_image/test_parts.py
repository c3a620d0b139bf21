# SPDX-License-Identifier: Apache-2.0
"""Parts: kept under the hash of their inputs; the initrd's program is the same from any folder."""

import os
import shutil

import pytest

from tests.deploy.guest_image.builder import EPOCH, FOLDER, parts, pins, wheels

INPUTS = ("wheel", "kube", "plugin", "init", "vmlinuz", "OVMF.snp.fd", "OVMF.tdx.fd", "pause.tar")


@pytest.fixture(scope="module")
def go():
    """The version of Go that is here: nothing is fetched, whichever the image is made with."""
    return wheels.run(["go", "env", "GOVERSION"], {"GOTOOLCHAIN": "local"}).split()[0]


def copied(folder, change=""):
    shutil.copytree(FOLDER / "init", folder)
    if change:
        (folder / "main.go").write_text((folder / "main.go").read_text() + change)
    return folder


def test_the_initrds_program_is_the_same_from_any_folder(tmp_path, go):
    first = parts.init_program(copied(tmp_path / "one"), tmp_path / "cache one", go)
    second = parts.init_program(copied(tmp_path / "two" / "further"), tmp_path / "cache two", go)
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()
    assert b"/bin/sh" not in first.read_bytes()
    assert go.encode() in first.read_bytes()


def test_another_source_is_another_part(tmp_path, go):
    first = parts.init_program(copied(tmp_path / "one"), tmp_path, go)
    second = parts.init_program(copied(tmp_path / "two", "\n// said otherwise\n"), tmp_path, go)
    assert first != second
    made = first.stat().st_ino
    assert parts.init_program(tmp_path / "one", tmp_path, go).stat().st_ino == made


def test_a_part_that_fails_is_not_kept(tmp_path):
    def fails(made):
        made.write_text("half")
        raise wheels.NotBuildable("no")

    with pytest.raises(wheels.NotBuildable):
        wheels.kept_part(tmp_path / "part", fails)
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_has_made_in_the_meantime_stays(tmp_path):
    part = tmp_path / "part"

    def later(made):
        made.mkdir()
        part.mkdir()
        (part / "theirs").write_text("whole")

    assert wheels.kept_part(part, later) == part
    assert [path.name for path in part.iterdir()] == ["theirs"]
    assert list(tmp_path.iterdir()) == [part]


def test_what_lays_wheels_out_is_in_the_key():
    names = {path.relative_to(FOLDER.parent).as_posix() for path in parts.builder_files()}
    assert {
        "debian/staging.py",
        "guest_image/image.py",
        "guest_image/packages.txt",
        "guest_image/edk2.txt",
    } <= names


def of_one_kind(folder, **changed):
    """Parts that are small files."""
    pinned = pins.Pins(EPOCH, (pins.Pin("linux-source-1", "1", "a" * 64), pins.Pin("runc", "1", "b" * 64)))
    for name in (*INPUTS, "a.deb", "b.deb"):
        (folder / name).write_text(changed.get(name, name))
    packages = (folder / "a.deb", folder / "b.deb")
    programs = {"kube": folder / "kube"}
    return parts.Parts(
        pinned,
        packages,
        (folder / "wheel",),
        programs,
        folder / "plugin",
        folder / "init",
        folder,
        folder,
        (folder / "pause.tar",),
    )


@pytest.mark.parametrize("name", INPUTS)
def test_each_part_is_in_the_key(tmp_path, name):
    key = of_one_kind(tmp_path).key()
    assert of_one_kind(tmp_path).key() == key
    assert of_one_kind(tmp_path, **{name: "another"}).key() != key


def test_there_is_one_kernel(tmp_path):
    found = of_one_kind(tmp_path)
    assert parts.kernel_source(found.pinned, found.packages) == tmp_path / "a.deb"
    with pytest.raises(wheels.NotBuildable, match="0 kernels"):
        parts.kernel_source(pins.Pins(EPOCH, ()), ())


def test_a_program_of_another_go_is_refused(tmp_path, monkeypatch):
    tool, program = tmp_path / "go", tmp_path / "program"
    tool.write_text('#!/bin/sh\necho "$2: $(cat "$2")"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program.write_text(parts.GO_VERSION)
    parts.same_go(program)
    program.write_text("go1.1")
    with pytest.raises(wheels.NotBuildable, match=rf"go1\.1, the image needs {parts.GO_VERSION}"):
        parts.same_go(program)


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(wheels.NotBuildable, match="has not been built: `make setup`"):
        parts.same_go(tmp_path / "nothing")
