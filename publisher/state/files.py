# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and that only their user reads."""

from pathlib import Path

from trustedpods.protocol.whole_file import private_folder, replace_whole


def write_whole(path: Path, data: bytes) -> None:
    """Put *data* at *path* in place of what was there, also when several commands write at once.

    Folders above it are made. A kill or a power cut leaves what was there before, or all of *data*.
    Raises `OSError`, and leaves nothing of its own behind then.
    """
    private_folder(path.parent)
    replace_whole(path, data)
