# SPDX-License-Identifier: Apache-2.0
"""The spool: sealed chunks of blobs on disk, as they came and in the publisher's own folder.

A blob is one file of sealed chunks behind each other. Each chunk was opened once with the blob's
key before it was written, so the length of the file says how many good chunks are there; a tail
that a kill cut short is dropped when the upload goes on. Nothing here is readable without the
keys in the sealed bundles.
"""

import hashlib
import os
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.bundle import BlobRef
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE, chunk_count, open_chunk, sealed_size
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.store.failures import translated


@dataclass(frozen=True, slots=True)
class SpoolPace:
    """When what was written is made to last, and how long streams wait for each other."""

    sync_every: int = 16
    """Chunks between two fdatasyncs: only synced chunks are acknowledged."""

    sync_after_s: float = 10.0
    """Or so long after the last one, over a slow line: a client waits two minutes for an acknowledgement."""

    turn_s: float = 30.0
    """How long a stream waits for another of the same publisher that sends the same blob: two deploys of
    one image side by side. Less than a client waits for an acknowledgement."""


USUAL = SpoolPace()

_UNREADABLE = "the spool cannot be read"
_UNWRITABLE = "the spool cannot be written"


class Spool:
    """All sealed blobs of all publishers, bounded by a quota; *clock* says how old one is (Unix seconds)."""

    def __init__(
        self,
        folder: Path,
        quota_mib: int,
        pace: SpoolPace = USUAL,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._quota = quota_mib * MIB
        self._pace = pace
        self._writing: dict[Path, trio.Event] = {}
        with translated(_UNREADABLE, folder):
            private_folder(folder)
            self._sizes: dict[str, dict[str, int]] = defaultdict(dict)
            for path in folder.glob("*/*.sealed"):
                self._note(path)
        self._used = sum(size for files in self._sizes.values() for size in files.values())

    @property
    def used_bytes(self) -> int:
        """Bytes of sealed chunks on disk."""
        return self._used

    def chunks(self, publisher: Address, blob: BlobRef) -> int:
        """Whole chunks of the blob that are there."""
        with translated(_UNREADABLE, self._folder):
            length = _size(self._path(publisher, blob))
        if length == sealed_size(blob.size):
            return chunk_count(blob.size)
        return min(length // SEALED_CHUNK_SIZE, chunk_count(blob.size) - 1)

    @property
    def publishers(self) -> list[str]:
        """Those who have a blob here, in lower case. No disk is asked."""
        return [folder for folder, files in self._sizes.copy().items() if files]

    def sizes(self, publisher: str) -> dict[str, int]:
        """Bytes on disk of each of the publisher's blobs by its id in hex. No disk is asked.

        Those of an upload that runs are as they were at its start.
        """
        return self._sizes.get(publisher.lower(), {}).copy()

    def complete(self, publisher: Address, blob: BlobRef) -> bool:
        """All of it is there."""
        return self.chunks(publisher, blob) == chunk_count(blob.size)

    @asynccontextmanager
    async def writer(self, publisher: Address, blob: BlobRef) -> AsyncIterator["BlobWriter"]:
        """Append to the blob from its first missing chunk.

        While another stream writes the same blob it waits for its turn; Refused with rule `busy` when
        that takes too long, with rule `quota` when the announced rest would not fit now. What counts is
        what is written: announcing costs nothing, and must not take the room of all others.
        """
        path = self._path(publisher, blob)
        with trio.move_on_after(self._pace.turn_s):
            while (other := self._writing.get(path)) is not None:
                await other.wait()
        if path in self._writing:
            raise Refused("another stream is sending this blob", rule="busy", hint="try again in a moment")
        have = self.chunks(publisher, blob)
        rest = sealed_size(blob.size) - _length(blob, have)
        self._check(rest)
        self._writing[path] = trio.Event()
        before, counted = _size(path), 0

        def count(size: int) -> None:
            nonlocal counted
            self._check(size)
            self._used += size
            counted += size

        writer = BlobWriter(path, blob, have, count, self._pace)
        try:
            await trio.to_thread.run_sync(writer.open)
            self._note(path)
            yield writer
        finally:
            try:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(writer.close)
            finally:
                self._writing.pop(path).set()
                self._used += _size(path) - before - counted
                self._note(path)

    def _note(self, path: Path) -> None:
        """Remember what is on disk of a blob; an empty file takes a place too."""
        if path.exists():
            self._sizes[path.parent.name][path.stem] = _size(path)
        else:
            self._sizes[path.parent.name].pop(path.stem, None)

    def _check(self, more: int) -> None:
        if self._used + more > self._quota:
            held, most = self._used // MIB, self._quota // MIB
            raise Refused(f"the provider's spool holds {held} of {most} MiB", rule="quota")

    async def read(self, publisher: Address, blob: BlobRef) -> AsyncGenerator[bytes]:
        """Plaintext of a complete blob, chunk by chunk.

        RemoteProtocolError when what was sent does not have the announced digest; NetworkFailure
        when a chunk is missing or no longer what was written.
        """
        digest = hashlib.sha256()
        total = chunk_count(blob.size)
        with translated(_UNREADABLE, self._folder):
            opened = self._path(publisher, blob).open("rb")
        with opened as file:
            for index in range(total):
                plain = await trio.to_thread.run_sync(_open_next, file.fileno(), blob, index, total)
                digest.update(plain)
                yield plain
        if f"sha256:{digest.hexdigest()}" != blob.digest:
            raise RemoteProtocolError(f"a blob was announced as {blob.digest} and is another", rule="digest")

    async def read_whole(self, publisher: Address, blob: BlobRef, max_size: int) -> bytes:
        """As `read`, for small blobs; Refused over *max_size* bytes."""
        if blob.size > max_size:
            raise Refused(f"{blob.digest} has {blob.size} bytes, at most {max_size} belong", rule="blob-size")
        return b"".join([part async for part in self.read(publisher, blob)])

    def forget(self, publisher: Address, blob: BlobRef) -> None:
        """Drop a blob that turned out to be wrong."""
        path = self._path(publisher, blob)
        if path.exists() and path not in self._writing:
            with translated(_UNWRITABLE, self._folder):
                size = _size(path)
                path.unlink()
            self._used -= size
            self._note(path)

    def collect(
        self, needed: Collection[bytes], older_than_s: float, spared: Collection[Address] = ()
    ) -> int:
        """Remove blobs that no pod needs and nobody touched for so long; returns bytes freed.

        Those of *spared* publishers stay: nobody knows which of them their pods will need.
        """
        folders = {publisher.lower() for publisher in spared}
        freed = 0
        keep = {blob_id.hex() for blob_id in needed}
        limit = self._clock() - older_than_s
        for path in self._folder.glob("*/*.sealed"):
            status = path.stat()
            kept = path.stem in keep or path.parent.name in folders
            if kept or path in self._writing or status.st_mtime > limit:
                continue
            with translated(_UNWRITABLE, self._folder):
                path.unlink()
            freed += status.st_size
            self._used -= status.st_size
            self._note(path)
        return freed

    def _path(self, publisher: Address, blob: BlobRef) -> Path:
        return self._folder / publisher.lower() / f"{blob.blob_id.hex()}.sealed"


class BlobWriter:
    """One upload: `add` checks and writes; what `synced` counts survives a power cut."""

    def __init__(
        self, path: Path, blob: BlobRef, have: int, count: Callable[[int], None], pace: SpoolPace
    ) -> None:
        self._path = path
        self._pace = pace
        self._count = count
        self._blob = blob
        self._fd = -1
        self._total = chunk_count(blob.size)
        self.chunks = have
        self.synced = have
        self._synced_at = time.monotonic()

    @property
    def complete(self) -> bool:
        """Every chunk was written."""
        return self.chunks == self._total

    def open(self) -> None:
        """Open the file and drop a tail that is no whole chunk."""
        with translated(_UNWRITABLE, self._path.parent):
            private_folder(self._path.parent)
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if not self.complete:
                os.ftruncate(self._fd, _length(self._blob, self.chunks))
            os.lseek(self._fd, 0, os.SEEK_END)

    async def add(self, sealed: bytes) -> None:
        """Take the next chunk; RemoteProtocolError unless it is the one for this place.

        Refused with rule `quota` where there is no room for it any more.
        """
        self._count(len(sealed))
        await trio.to_thread.run_sync(self._add, sealed)

    def _add(self, sealed: bytes) -> None:
        open_chunk(self._blob.key, self.chunks, self._total, sealed)
        with translated(_UNWRITABLE, self._path.parent):
            self._write(sealed)

    def _write(self, sealed: bytes) -> None:
        _write_all(self._fd, sealed)
        self.chunks += 1
        late = time.monotonic() - self._synced_at >= self._pace.sync_after_s
        if self.complete or late or self.chunks - self.synced >= self._pace.sync_every:
            os.fdatasync(self._fd)
            self.synced, self._synced_at = self.chunks, time.monotonic()
            if not self.complete:
                # A layer of gigabytes must not push the pods' files out of memory; and new pages cost more
                # than writing (2.5 s of CPU for a GB in a young virtual machine). A small blob stays.
                os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Sync and close; done already is done."""
        if self._fd < 0:
            return
        try:
            with translated(_UNWRITABLE, self._path.parent):
                os.fdatasync(self._fd)
        finally:
            os.close(self._fd)
            self._fd = -1


def _length(blob: BlobRef, chunks: int) -> int:
    """Bytes of the first so many sealed chunks."""
    return sealed_size(blob.size) if chunks == chunk_count(blob.size) else chunks * SEALED_CHUNK_SIZE


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _open_next(fd: int, blob: BlobRef, index: int, total: int) -> bytes:
    size = min(SEALED_CHUNK_SIZE, sealed_size(blob.size) - index * SEALED_CHUNK_SIZE)
    with translated(_UNREADABLE, Path("spool")):
        sealed = os.pread(fd, size, index * SEALED_CHUNK_SIZE)
    try:
        return open_chunk(blob.key, index, total, sealed)
    except RemoteProtocolError as error:
        raise NetworkFailure(f"the spool is damaged: {error.what}", rule="spool") from None
