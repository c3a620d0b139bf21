# SPDX-License-Identifier: Apache-2.0
"""A manifest with one thing wrong, and what is said of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.manifests.sound import FILES, SEED, changed


@dataclass(frozen=True)
class Wrong:
    """A manifest, what is said of it, and the files of its secret and of its seed."""

    tree: dict[str, Any]
    words: str
    files: Mapping[str, bytes] = field(default_factory=lambda: FILES)
    seed: Mapping[str, bytes] = field(default_factory=lambda: SEED)


def wrong(path: str, value: object, words: str, **files: bytes) -> Wrong:
    """SOUND with *value* at *path*."""
    return Wrong(changed(path, value), words, FILES | files)
