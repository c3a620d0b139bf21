# SPDX-License-Identifier: Apache-2.0
"""Images of registries as they lie in the cache: what is missing is fetched when it is looked for.

Blobs lie under their digests, so that what images share is fetched once. One that is half there has the
ending `.part` and is gone on with. What a tag meant last is kept too, for when nobody may be asked.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import INDEX_TYPES, MANIFEST_TYPES, Descriptor, parse_descriptor
from trustedpods.protocol.images.references import ImageReference
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.whole_file import private_folder, replace_whole
from trustedpods.publisher.images.index import read_entry
from trustedpods.publisher.images.kept import keep, kept
from trustedpods.publisher.images.layout import Extent
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.registry.connection import Registry

_HASH_PIECE = 1 * MIB
SPARE = 64 * MIB
"""Bytes that are left free on the disk."""


@dataclass(frozen=True, slots=True)
class PulledLayout:
    """One image's files: those that are in *folder*, and through *registry* those that are not yet.

    Without a registry nobody is asked.
    """

    reference: ImageReference
    folder: Path
    registry: Registry | None
    opening: ImageOpening

    @property
    def place(self) -> str:
        """The image's name."""
        return str(self.reference)

    def blob(self, named: Descriptor) -> Extent | None:
        """Where the blob lies, fetched first where no file of its size is here.

        A disk may have lost bytes of it since it was fetched, as a power cut has it: `Blob.verify` sees that,
        and has it fetched anew. Opening an image does not read its layers.
        """
        file = self.folder / named.digest.removeprefix("sha256:")
        if not _has_size(file, named.size):
            if self.registry is None:
                raise _asks_nobody(self.reference)
            self._fetch(self.registry, named, file)
        return Extent(file, 0, named.size, lambda: self._fetch_anew(named, file))

    def _fetch_anew(self, named: Descriptor, file: Path) -> None:
        """The registry that the image was opened from may be closed by now."""
        if self.opening.offline:
            raise _asks_nobody(self.reference)
        try:
            with Registry(self.reference) as registry:
                self._fetch(registry, named, file)
        except OSError as error:
            raise _cannot_keep(self.folder, error) from None

    def _fetch(self, registry: Registry, named: Descriptor, file: Path) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < named.size + SPARE:
            raise BadInput(
                f"no room for {named.digest[:19]}: it has {named.size} bytes, and {free} are free",
                where=str(self.folder),
                hint="make room; what lies in this folder may be deleted",
            )
        with _part(file, named) as part:
            if part is not None:
                self._fill(registry, named, part)
                os.fsync(part)  # else a power cut may leave the name without the bytes
                os.replace(file.with_suffix(".part"), file)

    def _fill(self, registry: Registry, named: Descriptor, part: int) -> None:
        """The rest of a blob that is in part there, once more from the start where its start is wrong."""
        told, name = self.opening.told, f"{self.reference.short_name} {named.digest[7:19]}"

        def write(offset: int, piece: bytes) -> None:
            if not offset:
                os.ftruncate(part, 0)
            _write_whole(part, piece, offset)
            told.progress(name, offset + len(piece), named.size)

        have = os.fstat(part).st_size
        for start in dict.fromkeys((have, 0)):
            registry.blob(named.digest, named.size, start, write)
            if _digest(part) == named.digest:
                return
            os.ftruncate(part, 0)
        raise BadInput(f"what the registry sent for {named.digest} is something else", where=self.place)


def pull(reference: ImageReference, cache: Path, opening: ImageOpening) -> Image:
    """The image for linux/amd64 that *reference* names, with all of its blobs below *cache*.

    Raises `BadInput`, also where nobody may be asked and it is not here, and `NetworkFailure`.
    """
    folder = cache / "pulled"
    try:
        private_folder(folder)
        return _pull(reference, folder, opening)
    except OSError as error:
        raise _cannot_keep(folder, error) from None


def _pull(reference: ImageReference, folder: Path, opening: ImageOpening) -> Image:
    memory = _memory(folder, reference)
    found = _known(memory) if opening.offline or reference.digest else None
    if opening.offline:
        if found is None:
            raise _asks_nobody(reference)
        return _again(PulledLayout(reference, folder, None, opening), found, memory)
    with Registry(reference) as registry:
        if found is not None:  # asked only for what is missing here
            return _again(PulledLayout(reference, folder, registry, opening), found, memory)
        data, kind = registry.manifest()
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if reference.digest not in {None, digest}:
            raise BadInput(f"what the registry sent has the digest {digest}", where=str(reference))
        replace_whole(folder / digest.removeprefix("sha256:"), data)
        named = Descriptor(kind, digest, len(data))
        image = _read(PulledLayout(reference, folder, registry, opening), named)
        keep(memory, _entry(named))
    pinned, manifest = reference.pinned(image.digest), image.blobs[0]
    found = Descriptor(manifest.media_type, manifest.digest, manifest.size)
    keep(_memory(folder, pinned), _entry(found) | {"index": _entry(named)})
    opening.told.line(f"{reference} is {pinned}")
    return image


def _memory(folder: Path, reference: ImageReference) -> Path:
    """Where it is kept what the name meant last: a name with a digest then needs no registry."""
    return folder / f"{hashlib.sha256(str(reference).encode()).hexdigest()[:32]}.json"


def _read(layout: PulledLayout, named: Descriptor) -> Image:
    return read_entry(layout, _entry(named))


def _again(layout: PulledLayout, named: Descriptor, memory: Path) -> Image:
    """The image through the index that it was found in, where that is here still: signers sign that."""
    index = _known(memory, "index")
    if index is not None and _has_size(layout.folder / index.digest.removeprefix("sha256:"), index.size):
        with suppress(BadInput):
            found = _read(layout, index)
            if found.digest == named.digest:
                return found
    return _read(layout, named)


def _entry(named: Descriptor) -> dict[str, Any]:
    return {"mediaType": named.media_type, "digest": named.digest, "size": named.size}


def _known(memory: Path, inside: str | None = None) -> Descriptor | None:
    """What a name meant when it was last asked for, or what was kept *inside* that; None: not known."""
    tree = kept(memory)
    if tree is not None and inside is not None:
        tree = tree.get(inside)
    try:
        return parse_descriptor(
            {key: tree.get(key) for key in ("mediaType", "digest", "size")}
            if isinstance(tree, dict)
            else None,
            INDEX_TYPES | MANIFEST_TYPES,
            "the image",
        )
    except BadInput:
        return None


def _asks_nobody(reference: ImageReference) -> BadInput:
    return BadInput(
        "it is not on this disk as a whole, and nobody may be asked; "
        f"without --offline it is fetched from {reference.host}",
        where=str(reference),
    )


def _cannot_keep(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"cannot keep images there: {error.strerror}", where=str(folder))


def _has_size(file: Path, size: int) -> bool:
    try:
        return file.stat().st_size == size
    except FileNotFoundError:
        return False


def _is_whole(file: Path, named: Descriptor) -> bool:
    """Whether the file has the blob's bytes; one that cannot be read for a fault of the disk has not."""
    try:
        blob = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return os.fstat(blob).st_size == named.size and _digest(blob) == named.digest
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return False
    finally:
        os.close(blob)


@contextmanager
def _part(file: Path, named: Descriptor) -> Iterator[int | None]:
    """The part of a blob that is here, ours alone; None where another run has fetched all meanwhile."""
    path = file.with_suffix(".part")
    while True:
        part = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(part, fcntl.LOCK_EX)
            if _is_whole(file, named):
                path.unlink(missing_ok=True)
                yield None
                return
            if _is_same(part, path):
                if os.fstat(part).st_size > named.size:
                    os.ftruncate(part, 0)
                yield part
                return
        finally:
            os.close(part)


def _is_same(part: int, path: Path) -> bool:
    """Whether the open file is still the one of that name: another run may have renamed it."""
    try:
        return os.path.samestat(os.fstat(part), path.stat())
    except FileNotFoundError:
        return False


def _write_whole(part: int, piece: bytes, offset: int) -> None:
    view = memoryview(piece)
    while view:
        done = os.pwrite(part, view, offset)
        view, offset = view[done:], offset + done


def _digest(part: int) -> str:
    whole, offset = hashlib.sha256(), 0
    while piece := os.pread(part, _HASH_PIECE, offset):
        whole.update(piece)
        offset += len(piece)
    return f"sha256:{whole.hexdigest()}"
