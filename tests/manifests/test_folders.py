# SPDX-License-Identifier: Apache-2.0
"""Directories beside a manifest: all of their files, and nothing that leads elsewhere."""

import os
from pathlib import Path

import pytest

from trustedpods.manifests.folders import MAX_DEPTH, MAX_ENTRIES, files_below
from trustedpods.protocol.errors import BadInput


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "first" / "node").mkdir(parents=True)
    (tmp_path / "first" / "node" / "key").write_text("k")
    (tmp_path / "first" / ".hidden").write_text("h")
    return tmp_path / "first"


def refused(folder: Path, *, most: int = 8, nested: bool = True) -> str:
    with pytest.raises(BadInput) as error:
        files_below(folder, most, "pod.yaml:3 seed", nested=nested)
    assert error.value.where == "pod.yaml:3 seed"
    return error.value.what


def test_all_files_are_found_by_their_paths(folder: Path) -> None:
    found = files_below(folder, 2, "", nested=True)
    assert {name: path.read_text() for name, path in found.items()} == {".hidden": "h", "node/key": "k"}
    assert list(found) == sorted(found)


def test_a_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("private")
    (folder / "link").symlink_to(tmp_path / "outside")
    assert "link is a link" in refused(folder)


def test_a_linked_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "link").symlink_to(tmp_path)
    assert "link is a link" in refused(folder)


def test_a_pipe_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert "pipe is no plain file" in refused(folder)


def test_folders_only_where_they_may_be(folder: Path) -> None:
    assert "node is a folder" in refused(folder, nested=False)


def test_more_files_than_may_be(folder: Path) -> None:
    assert "more than 1 files" in refused(folder, most=1)


def test_deeper_than_may_be(folder: Path) -> None:
    (folder / "/".join("d" * MAX_DEPTH)).mkdir(parents=True)
    assert f"deeper than {MAX_DEPTH} folders" in refused(folder)


def test_a_directory_of_everything(folder: Path) -> None:
    for number in range(MAX_ENTRIES):
        (folder / f"d{number}").mkdir()
    assert f"more than {MAX_ENTRIES} entries" in refused(folder)


def test_what_is_no_directory(folder: Path) -> None:
    assert "no such directory" in refused(folder / "none")
    assert "not a directory" in refused(folder / ".hidden")
