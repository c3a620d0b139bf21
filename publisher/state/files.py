# SPDX-License-Identifier: Apache-2.0
"""Files that appear whole or not at all, and that only their user reads."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Put *data* at *path* in place of what was there, also when several commands write at once.

    Folders above it are made. A kill or a power cut leaves what was there before, or all of *data*.
    Raises `OSError`, and leaves nothing of its own behind then.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
