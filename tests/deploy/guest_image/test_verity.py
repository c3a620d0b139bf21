# SPDX-License-Identifier: Apache-2.0
"""The hash tree: whole blocks, the root over every byte, the same as veritysetup's where that is there."""

import hashlib
import shutil
import subprocess

import pytest

from tests.deploy.guest_image.builder import verity


def write(path, size):
    path.write_bytes(hashlib.shake_128(str(size).encode()).digest(size))
    return path


def test_a_tree_of_two_blocks_is_the_hash_of_their_hashes(tmp_path):
    data = b"x" * 5000
    (tmp_path / "image").write_bytes(data)
    root = verity.append_tree(tmp_path / "image")
    salt, padded = bytes.fromhex(root.salt), data.ljust(8192, b"\0")
    leaves = [hashlib.sha256(salt + padded[at : at + 4096]).digest() for at in (0, 4096)]
    level = b"".join(leaves).ljust(4096, b"\0")
    assert root.blocks == 2
    assert root.digest == hashlib.sha256(salt + level).hexdigest()
    assert (tmp_path / "image").read_bytes() == padded + level


@pytest.mark.parametrize("place", [0, 5000, 129 * 4096 - 1])
def test_any_byte_changes_the_root(tmp_path, place):
    first, second = write(tmp_path / "a", 129 * 4096), write(tmp_path / "b", 129 * 4096)
    changed = bytearray(second.read_bytes())
    changed[place] ^= 1
    second.write_bytes(changed)
    assert verity.append_tree(first).digest != verity.append_tree(second).digest


@pytest.mark.skipif(shutil.which("veritysetup") is None, reason="`make guest` installs veritysetup")
@pytest.mark.parametrize("blocks", [1, 128, 129, 128 * 128 + 1])
def test_veritysetup_makes_the_same_tree(tmp_path, blocks):
    image = write(tmp_path / "image", blocks * 4096)
    data = image.read_bytes()
    root = verity.append_tree(image)
    other = tmp_path / "other"
    other.write_bytes(data)
    options = [
        f"--hash-offset={len(data)}",
        f"--data-blocks={blocks}",
        f"--salt={root.salt}",
        "--no-superblock",
    ]
    said = subprocess.run(
        ["veritysetup", "format", *options, other, other], check=True, capture_output=True, text=True
    ).stdout
    assert root.digest in said
    assert image.read_bytes() == other.read_bytes()
