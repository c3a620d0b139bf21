# SPDX-License-Identifier: Apache-2.0
"""The hash tree: whole blocks, the root over every byte, the same as veritysetup's."""

import hashlib
import subprocess

import pytest

from tests.deploy.guest_image.builder import verity

VERITYSETUP = "/usr/sbin/veritysetup"
MADE_BY_VERITYSETUP = {
    1: "3de0249ca96efea768f891f9efa35085d8240e93157473f9e00fdf15030fb31b",
    128: "9e7328dc5016719e2e1af89a60e9710a676d8e15d80ab1fde824a4c59422b3a3",
    129: "b256acbd5aff850f0e817639eea3fa64e1a100ad447042191720a6bccda4906a",
    16385: "db5485f040e8c4620504ce31dd537311bec25c9de011374ac5c3fe7107791d2b",
}
"""Root hashes by number of blocks, as version 2.6.1 says them (`soak` asks it again: it is no part of
`make setup`). One block, one full block of hashes, two levels, three levels."""


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


@pytest.mark.parametrize(("blocks", "digest"), MADE_BY_VERITYSETUP.items())
def test_known_trees(tmp_path, blocks, digest):
    root = verity.append_tree(write(tmp_path / "image", blocks * 4096))
    assert (root.blocks, root.digest) == (blocks, digest)


@pytest.mark.soak
@pytest.mark.parametrize("blocks", MADE_BY_VERITYSETUP)
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
        [VERITYSETUP, "format", *options, other, other], check=True, capture_output=True, text=True
    ).stdout
    assert root.digest == MADE_BY_VERITYSETUP[blocks]
    assert root.digest in said
    assert image.read_bytes() == other.read_bytes()
