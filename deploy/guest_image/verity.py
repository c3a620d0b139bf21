# SPDX-License-Identifier: Apache-2.0
"""The hash tree of dm-verity behind a disk image: SHA-256, blocks of 4096 bytes, the salt before the block.

Written down here because it is 20 lines: no version of a tool can make another tree. The kernel reads it at
each boot, and a test compares it with veritysetup's.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class Root:
    """What a machine must know of its root: hash and salt of the tree, and how many blocks have data."""

    digest: str
    salt: str
    blocks: int


def append_tree(image: Path) -> Root:
    """Pad *image* to whole blocks and put its tree behind, topmost level first; the salt is of the data."""
    whole = hashlib.sha256(b"trusted-pods/guest-root/v1\0")
    with image.open("r+b") as file:
        file.seek(0, 2)
        file.write(bytes(-file.tell() % BLOCK))
        file.seek(0)
        blocks = 0
        while block := file.read(BLOCK):
            whole.update(block)
            blocks += 1
        salt = whole.digest()
        file.seek(0)
        hashes, levels = [_hash(salt, file.read(BLOCK)) for _ in range(blocks)], []
        while len(hashes) > 1:
            joined = b"".join(hashes)
            level = joined + bytes(-len(joined) % BLOCK)
            hashes = [_hash(salt, level[at : at + BLOCK]) for at in range(0, len(level), BLOCK)]
            levels.append(level)
        file.seek(0, 2)
        for level in reversed(levels):
            file.write(level)
    return Root(hashes[0].hex(), salt.hex(), blocks)


def _hash(salt: bytes, block: bytes) -> bytes:
    return hashlib.sha256(salt + block).digest()
