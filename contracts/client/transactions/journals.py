# SPDX-License-Identifier: Apache-2.0
"""Where unfinished transactions outlive a process: files that processes share, or what a caller brings.

Whatever it is, pieces are on the disk before `write` returns, and each is replaced as a whole.
"""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trustedpods.protocol.errors import Locked, NoContext
from trustedpods.protocol.lockfile import open_lock, taken
from trustedpods.protocol.whole_file import private_folder, replace_whole

_POLL_S = 0.02


class TransactionJournal(Protocol):
    """Pieces of bytes by name: a list for each key and chain, and one for each of its transactions.

    Called in threads that trio started. Journals that are equal keep the same pieces.
    """

    def where(self, name: str) -> str:
        """What errors call the piece."""

    def exclusive(self, name: str, within_s: float) -> AbstractContextManager[None]:
        """The right to read and write the piece, of all processes; Locked when it does not come in time."""

    def read(self, name: str, most: int) -> bytes | None:
        """The piece, cut behind *most* bytes and one more; None when nothing was written yet."""

    def names(self, prefix: str) -> list[str]:
        """Of the pieces whose names begin so."""

    def write(self, pieces: Mapping[str, bytes | None]) -> None:
        """Put *pieces* in place of what was there, in their order; None takes one away.

        What is raised says why nothing may be sent now.
        """

    def permits_lock(self, name: str) -> Path | None:
        """The lock file of those who sign permits of the key; None where one process alone has the key."""


@dataclass(frozen=True, slots=True)
class FolderJournal:
    """A file for each piece in *folder*. Processes take turns by lock files beside them."""

    folder: Path

    def where(self, name: str) -> str:
        """The file's path."""
        return str(self._path(name))

    @contextmanager
    def exclusive(self, name: str, within_s: float) -> Iterator[None]:
        """As the protocol says; NoContext when the folder cannot be written."""
        path = self._path(name)
        with _disk(path):
            private_folder(self.folder)
            lock = open_lock(path.with_suffix(".lock"))
        try:
            with _disk(path):
                _wait_for(lock, path, within_s)
            yield
        finally:
            os.close(lock)

    def read(self, name: str, most: int) -> bytes | None:
        """As the protocol says; NoContext when the file cannot be read."""
        path = self._path(name)
        with _disk(path):
            try:
                with path.open("rb") as file:
                    return file.read(most + 1)
            except FileNotFoundError:
                return None

    def names(self, prefix: str) -> list[str]:
        """As the protocol says; NoContext when the folder cannot be read."""
        with _disk(self._path(prefix)):
            return sorted(path.stem for path in self.folder.glob(f"{prefix}*.json"))

    def write(self, pieces: Mapping[str, bytes | None]) -> None:
        """As the protocol says; NoContext when a file cannot be written, and stays as it was."""
        for name, piece in pieces.items():
            path = self._path(name)
            with _disk(path):
                if piece is None:
                    path.unlink(missing_ok=True)
                else:
                    replace_whole(path, piece)

    def permits_lock(self, name: str) -> Path | None:
        """A file beside the piece."""
        return self._path(name).with_suffix(".permits.lock")

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoContext(
            f"unfinished transactions cannot be kept: {error.strerror}",
            where=str(path.parent),
            hint="nothing is sent before it is on the disk; make room, or let this user write there",
        ) from None


def _wait_for(lock: int, path: Path, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not taken(lock):
        if time.monotonic() > deadline:
            raise Locked("another process holds this key's transactions", where=str(path))
        time.sleep(_POLL_S)
