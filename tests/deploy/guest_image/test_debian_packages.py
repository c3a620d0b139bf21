# SPDX-License-Identifier: Apache-2.0
"""Packages are taken from the cache by their hash, and nothing else passes for them."""

import hashlib
import os

import pytest

from tests.deploy.guest_image.builder import debian_packages, pins, wheels

CONTENT = b"a package"
PIN = pins.Pin("some", "1:2-3", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """A registry that has one version of one package, with the content of the file `served`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apt-cache").write_text("#!/bin/sh\necho ' some | 1:2-3 | somewhere Packages'\n")
    (folder / "apt-get").write_text(f"#!/bin/sh\ncp {tmp_path}/served some_2-3_all.deb\n")
    for tool in folder.iterdir():
        tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return tmp_path / "served"


def test_it_is_fetched_once(tmp_path, registry):
    registry.write_bytes(CONTENT)
    (first,) = debian_packages.fetched([PIN], tmp_path)
    registry.unlink()
    assert debian_packages.fetched([PIN], tmp_path) == [first]
    assert first.read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(tmp_path, registry):
    registry.write_bytes(CONTENT + b"!")
    with pytest.raises(wheels.NotBuildable, match="some 1:2-3 came with another SHA-256"):
        debian_packages.fetched([PIN], tmp_path)
    assert list((tmp_path / "guest-packages").iterdir()) == []


def test_a_file_of_the_cache_that_is_no_longer_the_pinned_one_is_refused(tmp_path, registry):
    registry.write_bytes(CONTENT)
    (kept,) = debian_packages.fetched([PIN], tmp_path)
    kept.write_bytes(CONTENT[:-1])
    with pytest.raises(wheels.NotBuildable, match=rf"{kept} is not some 1:2-3 as pinned: remove it"):
        debian_packages.fetched([PIN], tmp_path)


def test_a_version_that_is_gone_is_named(tmp_path, registry):
    with pytest.raises(
        wheels.NotBuildable, match=r"no longer has some 9 \(there: 1:2-3\)\. `make guest-pins`"
    ):
        debian_packages.fetched([pins.Pin("some", "9", PIN.sha256)], tmp_path)
