# SPDX-License-Identifier: Apache-2.0
"""The newest generation of each pod, kept beside this boot's keys in memory-only storage.

Whoever holds the disk can put back an older store, and with it an older bundle, or a pod that was
deleted; he can also send a recorded request again. The keys that open bundles end with the boot;
within one boot these marks tell: a store that is behind them was set back.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import CHANNEL_BYTES, ChannelId, channel_bytes, channel_from_bytes
from trustedpods.protocol.whole_file import replace_whole

FILE_NAME: Final = "generations"
_ENTRY_BYTES: Final = CHANNEL_BYTES + 8


class NewestGenerations:
    """Generations that only grow. Without a *folder* they live as long as the object: for tests."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / FILE_NAME
        self._newest: dict[ChannelId, int] = {}
        if self._path is not None and self._path.exists():
            self._read(self._path.read_bytes())
            self._compact(self._path)

    def newest(self, channel: ChannelId) -> int:
        """The newest generation that was ever taken in this boot; -1 when there was none."""
        return self._newest.get(channel, -1)

    def note(self, channel: ChannelId, generation: int) -> None:
        """A record with this generation is in the store. Called behind the store's write, never before it."""
        if generation <= self.newest(channel):
            return
        self._newest[channel] = generation
        if self._path is not None:
            self._append(self._path, _entry(channel, generation))

    def _read(self, data: bytes) -> None:
        """Entries behind each other; a kill may have cut the last one short."""
        for start in range(0, len(data) - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            channel = channel_from_bytes(data[start : start + CHANNEL_BYTES])
            generation = int.from_bytes(data[start + CHANNEL_BYTES : start + _ENTRY_BYTES], "big")
            self._newest[channel] = max(generation, self.newest(channel))

    def _compact(self, path: Path) -> None:
        with _writing(path):
            replace_whole(path, b"".join(_entry(*item) for item in self._newest.items()))

    @staticmethod
    def _append(path: Path, data: bytes) -> None:
        """One write in memory: whole, or cut at the end when the process is killed."""
        with _writing(path):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                os.write(fd, data)
            finally:
                os.close(fd)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NetworkFailure(
            f"the marks of this boot cannot be written: {error.strerror}",
            where=str(path),
            hint="the folder for keys must have room",
            rule="marks",
        ) from None


def _entry(channel: ChannelId, generation: int) -> bytes:
    return channel_bytes(channel) + generation.to_bytes(8, "big")
