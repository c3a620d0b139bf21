# SPDX-License-Identifier: Apache-2.0
"""The image: what it measures to follows from every byte of it, and two builds of it are one (`soak`)."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.deploy.guest_image.builder import (
    EPOCH,
    FOLDER,
    guest_image,
    image,
    initrd,
    verity,
    wheels,
)
from tests.guest.image_files import firmware
from tests.paths import ROOT
from trustedpods.guest.measure import ImageFiles, measure_snp
from trustedpods.guest.processors import MachineShape

SHAPES = [MachineShape(vcpus, "EPYC-v4") for vcpus in (1, 2)]


def measured(folder, *, root=b"root" * 5000, program=b"program", kernel=b"kernel", word=""):
    """Launch digests of an image of these parts, built as the real one is."""
    folder.mkdir()
    (folder / "root.img").write_bytes(root)
    line = image.command_line(verity.append_tree(folder / "root.img")) + word
    contents = {
        "OVMF.fd": firmware(), "vmlinuz": kernel, "cmdline": line.encode(),
        "initrd.img": initrd.initrd(program, line),
    }  # fmt: skip
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    files = ImageFiles(*(folder / name for name in ("OVMF.fd", "vmlinuz", "initrd.img", "cmdline")))
    return [one.digest for one in measure_snp(files, SHAPES).snp]


def test_every_byte_and_every_processor_is_in_the_launch_digest(tmp_path):
    base = measured(tmp_path / "base")
    assert measured(tmp_path / "again") == base
    others = [
        measured(tmp_path / "root", root=b"root" * 4999 + b"rooT"),
        measured(tmp_path / "program", program=b"prograM"),
        measured(tmp_path / "kernel", kernel=b"kerneL"),
        measured(tmp_path / "word", word=" lockdown=none"),
        measured(tmp_path / "space", word=" "),
    ]
    digests = [digest for pair in (base, *others) for digest in pair]
    assert len(set(digests)) == len(digests) == 12


def test_the_command_line_locks_the_machine_and_names_the_root():
    root = verity.Root("ab" * 32, "cd" * 32, 7)
    words = image.command_line(root).split(" ")
    assert words[-1] == f"trustedpods.root={root.digest}:{root.salt}:7"
    assert {"rdinit=/init", "panic=1", "lockdown=confidentiality", "efi=noruntime"} <= set(words)
    assert not [word for word in words if word.startswith(("console=", "init=", "earlyprintk", "debug"))]
    assert len(" ".join(words)) < 1024


def test_another_version_of_the_file_systems_tool_is_refused(tmp_path, monkeypatch):
    tool = tmp_path / "mkfs.erofs"
    tool.write_text("#!/bin/sh\necho mkfs.erofs 1.8.6\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(wheels.NotBuildable, match=r"mkfs\.erofs 1\.5 is needed.*1\.8\.6"):
        image.erofs(tmp_path, tmp_path / "root.img", 1_790_000_000)


@pytest.mark.parametrize("words", [["--help"], ["--pins", "out"], ["one", "two"]])
def test_words_that_name_no_folder_make_nothing(tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    assert guest_image.main(words) == 2
    assert capsys.readouterr().err == f"error: '{' '.join(words)}' is neither one folder nor --pins\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.soak
def test_what_the_building_machine_hangs_on_files_is_no_part(tmp_path):
    """With the real mkfs.erofs, which `make guest` installs."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("content")
    os.utime(root, (EPOCH, EPOCH))
    image.erofs(root, tmp_path / "first", EPOCH)
    os.setxattr(root / "file", "user.label", b"of this machine")
    image.erofs(root, tmp_path / "second", EPOCH)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


BUILDING = """
import sys, pathlib, shutil
sys.path[:0] = sys.argv[3:]
import image, parts
from trustedpods.localnet.cluster import binaries
out, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
image.build(parts.collected(pathlib.Path.cwd(), binaries.cache(), work), out, work)
"""
FOLDERS = [str(FOLDER), str(ROOT / "deploy/debian"), str(ROOT / "deploy/setup")]


def built(out, work, *, umask, processors, **environment):
    """Digests of the files of one whole build, from parts that are in the cache."""
    out.mkdir(parents=True)
    argv = ["taskset", "-c", processors, sys.executable, "-c", BUILDING, str(out), str(work), *FOLDERS]
    subprocess.run(argv, check=True, cwd=ROOT, umask=umask, env={**os.environ, **environment})
    found = json.loads((out / "manifest.json").read_text())
    for name, told in found["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == told["sha256"]
    return found


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_two_builds_are_one_image(tmp_path):
    """Another folder on another file system (other order of names), time, umask, locale, processors."""
    one = tmp_path / "one"
    first = built(one / "out", one, umask=0o022, processors="0-1", LC_ALL="C", TZ="UTC")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        two = Path(name) / "a folder" / "further in"
        second = built(
            two / "out",
            two,
            umask=0o077,
            processors="0",
            LC_ALL="C.UTF-8",
            TZ="Asia/Kathmandu",
            PYTHONHASHSEED="7",
        )
    assert second == first
