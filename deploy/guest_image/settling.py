# SPDX-License-Identifier: Apache-2.0
"""What a tree of files says of its builder is taken away: modes after a umask, and times.

Owners are no matter here: the image's file system is written with root as owner of all.
"""

import os
from pathlib import Path

PROGRAM = 0o755
DATA = 0o644


def settle(root: Path, epoch: int) -> None:
    """Two modes for files, one for folders, one time for all; no set-user-id, no sticky bit, nothing hidden.

    *epoch* is in seconds since 1970.
    """
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder, name)
            if path.is_symlink():
                continue
            path.chmod(PROGRAM if path.is_dir() or path.stat().st_mode & 0o100 else DATA)
    root.chmod(PROGRAM)
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            os.utime(os.path.join(folder, name), (epoch, epoch), follow_symlinks=False)
    os.utime(root, (epoch, epoch))
