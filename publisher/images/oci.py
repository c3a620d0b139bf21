# SPDX-License-Identifier: Apache-2.0
"""From an image layout to one image for linux/amd64: its blobs, and whether it can run as it is."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from trustedpods.protocol import limits
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.layout import Extent, Layout

MAX_JSON = 4 * limits.MIB
"""The bound that registries set for manifests; real ones have a few KiB."""

MAX_INDEX_DEPTH = 3
"""An index in an index in an index: deeper nesting has no use."""

PLATFORM = ("linux", "amd64")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
_LAYER_TYPES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


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

    def verify(self, hashed: Callable[[int], None] = lambda _: None) -> "VerifiedBlob":
        """Read all of it and compare with the digest; *hashed* is told of bytes as they pass.

        Raises `BadInput` when the archive is damaged.
        """
        whole, chunks = hashlib.sha256(), []
        for offset in range(0, max(self.size, 1), limits.BLOB_CHUNK):
            chunk = self.read(offset, limits.BLOB_CHUNK)
            whole.update(chunk)
            chunks.append(hashlib.sha256(chunk).digest())
            hashed(len(chunk))
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

    A blob that several layers share is listed once.
    """

    place: str
    blobs: tuple[Blob, ...]
    user: str

    @property
    def digest(self) -> str:
        """Digest of the manifest: what pins the image."""
        return self.blobs[0].digest

    @property
    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.size for blob in self.blobs)


def read_image(layout: Layout, tag: str | None = None) -> Image:
    """The image for linux/amd64 in *layout*; *tag* chooses where several are.

    Manifests and configuration are checked against their digests; layers only by `Blob.verify`.
    Raises `BadInput` naming the archive.
    """
    if layout.find("oci-layout") is None:
        raise BadInput("not an OCI image layout: there is no file oci-layout", where=layout.place)
    index = layout.find("index.json")
    if index is None:
        raise BadInput("not an OCI image layout: there is no index.json", where=layout.place)
    tree = _json(index, layout.place)
    manifests = list(_manifests(layout, _tagged(tree, tag, layout.place), 0))
    problems: list[str] = []
    for blob in manifests:
        platform, image = _image(layout, blob)
        if platform == PLATFORM:
            return image
        problems.append("/".join(platform))
    raise BadInput(f"no image for linux/amd64; there is: {', '.join(problems) or 'none'}", where=layout.place)


def _json(extent: Extent, place: str) -> dict[str, Any]:
    if extent.size > MAX_JSON:
        raise BadInput(f"a JSON document of {extent.size} bytes; the bound is {MAX_JSON}", where=place)
    try:
        tree = json.loads(extent.read(0, extent.size))
    except (ValueError, RecursionError):
        raise BadInput("damaged: a document in it is not JSON", where=place) from None
    if not isinstance(tree, dict):
        raise BadInput("damaged: a document in it is not a JSON object", where=place)
    return tree


def _tagged(tree: dict[str, Any], tag: str | None, place: str) -> list[dict[str, Any]]:
    entries = _descriptors(tree, "manifests", place)
    if tag is None:
        return entries
    names = {_tag_of(entry): entry for entry in entries}
    if tag not in names:
        there = ", ".join(sorted(name for name in names if name)) or "none"
        raise BadInput(f"no image is tagged {tag!r}; there is: {there}", where=place)
    return [names[tag]]


def _tag_of(entry: dict[str, Any]) -> str:
    annotations = entry.get("annotations")
    value = annotations.get("org.opencontainers.image.ref.name") if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def _descriptors(tree: dict[str, Any], field: str, place: str) -> list[dict[str, Any]]:
    entries = tree.get(field)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"damaged: {field!r} is not a list of descriptors", where=place)
    if len(entries) > limits.MAX_BLOBS:
        raise BadInput(f"{len(entries)} {field}; the bound is {limits.MAX_BLOBS}", where=place)
    return entries


def _manifests(layout: Layout, entries: list[dict[str, Any]], depth: int) -> Iterator[Blob]:
    """The manifests behind *entries* that may be for our platform, depth first."""
    if depth >= MAX_INDEX_DEPTH:
        raise BadInput(f"indexes nested deeper than {MAX_INDEX_DEPTH}", where=layout.place)
    for entry in entries:
        if not _may_fit(entry.get("platform")):
            continue
        if entry.get("mediaType") in _INDEX_TYPES:
            nested = _json(_document(layout, entry, _INDEX_TYPES).extent, layout.place)
            yield from _manifests(layout, _descriptors(nested, "manifests", layout.place), depth + 1)
        else:
            yield _document(layout, entry, _MANIFEST_TYPES)


def _may_fit(platform: object) -> bool:
    if not isinstance(platform, dict) or "architecture" not in platform:
        return True
    return (platform.get("os"), platform.get("architecture")) == PLATFORM


def _document(layout: Layout, entry: object, types: tuple[str, ...]) -> Blob:
    """A small blob, its digest checked."""
    blob = _blob(layout, entry, types)
    if blob.size > MAX_JSON:
        raise BadInput(f"{blob.digest} has {blob.size} bytes; the bound is {MAX_JSON}", where=layout.place)
    blob.verify()
    return blob


def _blob(layout: Layout, entry: object, types: tuple[str, ...]) -> Blob:
    if not isinstance(entry, dict):
        raise BadInput("damaged: a descriptor is missing", where=layout.place)
    digest, size, media_type = entry.get("digest"), entry.get("size"), entry.get("mediaType")
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BadInput(f"not a sha256 digest: {digest!r}", where=layout.place)
    if media_type not in types:
        raise BadInput(f"{digest} is of type {media_type!r}, which cannot be used here", where=layout.place)
    extent = layout.find(f"blobs/sha256/{digest.removeprefix('sha256:')}")
    if extent is None:
        raise BadInput(f"blob {digest} is not in it", where=layout.place)
    if type(size) is not int or extent.size != size:
        raise BadInput(f"blob {digest} has {extent.size} bytes, not {size}", where=layout.place)
    if size > limits.MAX_BLOB_SIZE:
        raise BadInput(
            f"blob {digest} has {size} bytes; the bound is {limits.MAX_BLOB_SIZE}", where=layout.place
        )
    return Blob(digest, size, media_type, extent)


def _image(layout: Layout, manifest: Blob) -> tuple[tuple[str, str], Image]:
    tree = _json(manifest.extent, layout.place)
    config = _document(layout, tree.get("config"), _CONFIG_TYPES)
    layers = [_blob(layout, entry, _LAYER_TYPES) for entry in _descriptors(tree, "layers", layout.place)]
    unique = {blob.digest: blob for blob in (manifest, config, *layers)}
    if len(unique) > limits.MAX_BLOBS:
        raise BadInput(f"{len(unique)} blobs; the bound is {limits.MAX_BLOBS}", where=layout.place)
    settings = _json(config.extent, layout.place)
    rootfs = settings.get("rootfs")
    diffs = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diffs, list) or len(diffs) != len(layers):
        raise BadInput("damaged: layers and configuration do not fit together", where=layout.place)
    run = settings.get("config")
    user = run.get("User", "") if isinstance(run, dict) else ""
    if not isinstance(user, str):
        raise BadInput("damaged: the image's User is not text", where=layout.place)
    platform = (str(settings.get("os", "?")), str(settings.get("architecture", "?")))
    return platform, Image(layout.place, tuple(unique.values()), user)
