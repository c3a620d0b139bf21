# SPDX-License-Identifier: Apache-2.0
"""One image of a layout as it lies there: its blobs, checked against their digests, and its configuration."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol import limits
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import Descriptor, ImageConfig, parse_config, parse_manifest
from trustedpods.protocol.images.strict_json import MAX_JSON
from trustedpods.publisher.images.layout import Blobs, Extent


@dataclass(frozen=True, slots=True)
class Blob:
    """One content-addressed piece of an image; *size* in bytes."""

    digest: str
    size: int
    media_type: str
    extent: Extent

    def read(self, offset: int, length: int) -> bytes:
        """At most *length* bytes from *offset*."""
        return self.extent.read(offset, length)

    def verify(self, passed: Callable[[bytes], None] | None = None) -> "VerifiedBlob":
        """Read all of it and compare with the digest; *passed* is given the bytes as they come.

        Where it can be fetched anew that is done if need be, before anything is passed. Raises `BadInput`
        when it is damaged all the same, and what fetching raises.
        """
        if self.extent.anew is None:
            return self._verified(passed)
        try:
            found = self._verified(None)
        except BadInput:
            self.extent.anew()
            found = self._verified(None)
        return found if passed is None else self._verified(passed)

    def _verified(self, passed: Callable[[bytes], None] | None) -> "VerifiedBlob":
        whole, chunks = hashlib.sha256(), []
        for offset in range(0, max(self.size, 1), limits.BLOB_CHUNK):
            chunk = self.read(offset, limits.BLOB_CHUNK)
            whole.update(chunk)
            chunks.append(hashlib.sha256(chunk).digest())
            if passed is not None:
                passed(chunk)
        if f"sha256:{whole.hexdigest()}" != self.digest:
            raise BadInput(f"blob {self.digest} is damaged", where=str(self.extent.path))
        return VerifiedBlob(self, tuple(chunks))


@dataclass(frozen=True, slots=True)
class VerifiedBlob:
    """A blob whose bytes were seen to have its digest, with the digest of each chunk.

    A blob's key belongs to its digest, and each chunk is sealed under its index: sealing other
    bytes there would use a nonce twice. So a chunk is compared again when it is read to be sent.
    """

    blob: Blob
    chunks: tuple[bytes, ...]

    def read_chunk(self, index: int) -> bytes:
        """Chunk *index* of `limits.BLOB_CHUNK` bytes (the last may be shorter).

        Raises `BadInput` when it is not what was verified.
        """
        chunk = self.blob.read(index * limits.BLOB_CHUNK, limits.BLOB_CHUNK)
        if hashlib.sha256(chunk).digest() != self.chunks[index]:
            raise BadInput(
                "the file changed while it was sent",
                where=str(self.blob.extent.path),
                hint="deploy again once nothing writes to it",
            )
        return chunk


@dataclass(frozen=True, slots=True)
class Image:
    """An image: `blobs[0]` is its manifest, `blobs[1]` its configuration, the rest layers.

    A blob that is there several times is listed once; `layers` has them as they are laid on each other,
    from the lowest up. `indexes` are the digests of what led to the manifest, for several platforms.
    """

    place: str
    blobs: tuple[Blob, ...]
    layers: tuple[Blob, ...]
    config: ImageConfig
    indexes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of the manifest: what pins the image."""
        return self.blobs[0].digest

    @property
    def user(self) -> str:
        """USER of the image."""
        return self.config.user


@dataclass(frozen=True, slots=True)
class SourcedImage:
    """An *image*, the *source* that it was opened from, below *base*, and what errors call that place."""

    image: Image
    source: str
    base: Path
    where: str | None = None


def document(layout: Blobs, named: Descriptor) -> Blob:
    """A small blob, its digest checked. Raises `BadInput` naming the layout."""
    _check_document(layout, named)
    found = blob(layout, named)
    found.verify()
    return found


def _check_document(layout: Blobs, named: Descriptor) -> None:
    if named.size > MAX_JSON:
        raise BadInput(f"{named.digest} has {named.size} bytes; the bound is {MAX_JSON}", where=layout.place)


def is_there(layout: Blobs, named: Descriptor) -> bool:
    """Whether the layout has the document: an index may name more than was saved."""
    _check_document(layout, named)
    return layout.blob(named) is not None


def blob(layout: Blobs, named: Descriptor) -> Blob:
    """Where *named* lies, with the size that was told."""
    extent = layout.blob(named)
    if extent is None:
        raise BadInput(f"blob {named.digest} is not in it", where=layout.place)
    if extent.size != named.size:
        raise BadInput(f"blob {named.digest} has {extent.size} bytes, not {named.size}", where=layout.place)
    return Blob(named.digest, named.size, named.media_type, extent)


def image(layout: Blobs, manifest: Blob) -> Image:
    """The image behind a *manifest*; layers are compared with their digests by `Blob.verify` only."""
    named = parse_manifest(manifest.read(0, manifest.size), manifest.media_type)
    config = document(layout, named.config)
    settings = parse_config(config.read(0, config.size))
    if settings.layer_count != len(named.layers):
        raise BadInput("damaged: layers and configuration do not fit together", where=layout.place)
    layers = tuple(blob(layout, layer) for layer in named.layers)
    unique = {part.digest: part for part in (manifest, config, *layers)}
    return Image(layout.place, tuple(unique.values()), layers, settings)
