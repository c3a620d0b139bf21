# SPDX-License-Identifier: Apache-2.0
"""Keeps pods' termination logs short: `python -m trustedpods.provider.termination_logs KUBELET_FOLDER`.

It runs on each node and looks for ever. The kubelet gives every container a file of the node, writable for
all, as /dev/termination-log (`makeMounts` in kuberuntime_container.go), and counts it nowhere: not for
eviction, not in its statistics. No field of a pod can do without the file or make it read-only, so what is
beyond the part that is read goes.
"""

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

KEPT_BYTES = 4096
"""The most that a kubelet reads of one (`MaxContainerTerminationMessageLength`)."""

MAX_ON_DISK = 64 * 1024
"""Beyond this a short one is cut too: room can be reserved behind a file's end. Block sizes stay below."""

LOOK_EVERY_S = 5.0
"""The kubelet itself looks every 10 s at what pods write elsewhere."""

_BLOCK = 512
"""Bytes of a block in `st_blocks`, whatever the file system's own are."""


def trim(kubelet: Path) -> list[Path]:
    """One look at all containers below the kubelet's folder; the files that were cut."""
    return [file for file in _files(kubelet) if _cut(file)]


def _files(kubelet: Path) -> Iterator[Path]:
    """`pods/UID/containers/NAME/RANDOM`: one file for each start of a container."""
    yield from kubelet.glob("pods/*/containers/*/*")


def _cut(file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):  # its pod ended
        if not _is_long(os.lstat(file)):
            return False
        handle = os.open(file, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # also where it is short: cutting a file at its end frees what was reserved behind it
            os.ftruncate(handle, min(os.fstat(handle).st_size, KEPT_BYTES))
        finally:
            os.close(handle)
        return True
    return False


def _is_long(found: os.stat_result) -> bool:
    on_disk = found.st_blocks * _BLOCK
    return stat.S_ISREG(found.st_mode) and (found.st_size > KEPT_BYTES or on_disk > MAX_ON_DISK)


def main(kubelet: str) -> None:
    """Look for ever; what cannot be cut now is tried again."""
    while True:
        try:
            cut = trim(Path(kubelet))
        except OSError as error:
            print(f"not now: {error}", flush=True)  # noqa: T201 - its log
        else:
            for file in cut:
                print(f"cut {file}", flush=True)  # noqa: T201
        time.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
