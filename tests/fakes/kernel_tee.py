# SPDX-License-Identifier: Apache-2.0
"""A kernel with a TEE: a directory of real files that answers as configfs-tsm does.

It goes through the real door (`ConfigfsTsm`), and between its operations does what the kernel would:
fills a new request, counts writes, makes the report when the outblob is read.
"""

import errno
import os
from collections.abc import Callable

from trustedpods.provider.tee.tsm import ConfigfsTsm


class FakeKernel(ConfigfsTsm):
    """`answer` makes a report of report_data; `errors` are raised by the operations named, in turn."""

    def __init__(self, root, answer: Callable[[bytes], bytes], provider="sev_guest", auxblob=b"", floor="0"):
        super().__init__(root)
        root.mkdir(exist_ok=True)
        self.answer, self.provider, self.auxblob, self.floor = answer, provider, auxblob, floor
        self.errors: dict[str, list[int]] = {}
        self.meddle = 0  # requests into which somebody else writes
        self.privileges: list[bytes] = []

    def _fail(self, operation):
        if self.errors.get(operation):
            number = self.errors[operation].pop(0)
            raise OSError(number, os.strerror(number))

    def make(self, entry):
        self._fail("make")
        super().make(entry)
        folder = self.root / entry
        (folder / "provider").write_text(self.provider + "\n")
        (folder / "generation").write_text("7\n")
        (folder / "inblob").write_bytes(b"")
        if self.floor is not None:
            (folder / "privlevel_floor").write_text(self.floor + "\n")
            (folder / "privlevel").write_bytes(b"")

    def write(self, entry, attribute, data):
        self._fail(attribute)
        if attribute == "inblob" and len(data) != 64:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        super().write(entry, attribute, data)
        if attribute == "privlevel":
            self.privileges.append(data)
        self._count(entry)

    def _count(self, entry):
        path = self.root / entry / "generation"
        path.write_text(f"{int(path.read_text()) + 1}\n")

    def read(self, entry, attribute, limit):
        self._fail(attribute)
        folder = self.root / entry
        if attribute == "outblob":
            if self.meddle:
                self.meddle -= 1
                self._count(entry)
            (folder / "outblob").write_bytes(self.answer((folder / "inblob").read_bytes()))
            if self.auxblob is not None:
                (folder / "auxblob").write_bytes(self.auxblob)
        return super().read(entry, attribute, limit)

    def remove(self, entry):
        """The kernel's attributes go with their directory; a real file does not."""
        for file in (self.root / entry).iterdir():
            file.unlink()
        super().remove(entry)
