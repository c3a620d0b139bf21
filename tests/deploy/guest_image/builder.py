# SPDX-License-Identifier: Apache-2.0
"""The builder of the machine image as its command imports it, and small inputs for it."""

import io
import sys
import tarfile

from tests.paths import ROOT

FOLDER = ROOT / "deploy" / "guest_image"
sys.path[:0] = [str(FOLDER), str(ROOT / "deploy" / "debian"), str(ROOT / "deploy" / "setup")]

import debian_packages  # noqa: E402
import firmware  # noqa: E402
import guest_image  # noqa: E402
import image  # noqa: E402
import initrd  # noqa: E402
import kernel  # noqa: E402
import parts  # noqa: E402
import pins  # noqa: E402
import root_tree  # noqa: E402
import settling  # noqa: E402
import sources  # noqa: E402
import staging  # noqa: E402
import verity  # noqa: E402
import wheels  # noqa: E402

__all__ = [
    "EPOCH", "FOLDER", "archive_contents", "archive_of", "debian_packages", "firmware", "guest_image",
    "image", "initrd", "kernel", "parts", "pins", "root_tree", "settling", "sources", "staging", "verity",
    "wheels",
]  # fmt: skip

EPOCH = 1_790_000_000


def archive_of(*members: tarfile.TarInfo | tuple[str, bytes, int]) -> io.BytesIO:
    """A tar archive of files (name, content, mode) and of other members."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, content, mode = member
            head = tarfile.TarInfo(name)
            head.size, head.mode, head.uid, head.mtime = len(content), mode, 1000, 12345
            archive.addfile(head, io.BytesIO(content))
    stream.seek(0)
    return stream


def archive_contents(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Mode and content by name, of an initrd: a reader of its format, written apart from its writer."""
    place, found = 0, {}
    while True:
        assert data[place : place + 6] == b"070701"
        fields = [int(data[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        mode, owner, group, moment, size, name_size = *fields[1:4], fields[5], fields[6], fields[11]
        assert (owner, group, moment) == (0, 0, 0)
        name = data[place + 110 : place + 110 + name_size - 1].decode()
        start = (place + 110 + name_size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[start : start + size])
        place = (start + size + 3) // 4 * 4
