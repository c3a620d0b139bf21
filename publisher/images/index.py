# SPDX-License-Identifier: Apache-2.0
"""From an image layout's index to the one image for linux/amd64 that is meant.

An index holds more than images: signatures, lists of parts, provenance. They are passed over. Where
several images are left, the one is taken that a name says, and nothing is guessed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import (
    CONFIG_TYPES,
    INDEX_TYPES,
    MANIFEST_TYPES,
    PLATFORM,
    parse_config,
    parse_descriptor,
)
from trustedpods.protocol.images.strict_json import MAX_JSON, parse_object
from trustedpods.protocol.limits import MAX_BLOBS
from trustedpods.publisher.images.layout import Blobs, Layout
from trustedpods.publisher.images.names import NamedImage, choose
from trustedpods.publisher.images.oci import Blob, Image, document, image, is_there

MAX_INDEX_DEPTH = 3
"""An index in an index in an index: deeper nesting has no use."""

_LAYER_PREFIXES = ("application/vnd.oci.image.layer.", "application/vnd.docker.image.rootfs.")
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_ATTESTATION = "vnd.docker.reference.type"
"""On what BuildKit writes beside an image about it."""


@dataclass
class _Seen:
    """What an index held beside images for linux/amd64: for the message when none is left."""

    platforms: list[str]
    others: int = 0
    absent: int = 0
    read: int = 0
    """Documents of all nested indexes: a registry is asked for each."""

    def __str__(self) -> str:
        parts = list(dict.fromkeys(self.platforms))
        if self.others:
            parts.append(f"{self.others} that are no images (signatures, provenance, ...)")
        if self.absent:
            parts.append(f"{self.absent} of which the archive lacks a part")
        return ", ".join(parts) or "none"


def read_image(layout: Layout, name: str | None = None) -> Image:
    """The image for linux/amd64 in *layout*; *name* says which where several are.

    Manifests and configuration are checked against their digests; layers only by `Blob.verify`.
    Raises `BadInput` naming the archive, with the names that may be written where none or several fit.
    """
    try:
        return _read_image(layout, name)
    except BadInput as error:
        raise BadInput(error.what, where=error.where or layout.place, hint=error.hint) from None


def _read_image(layout: Layout, name: str | None) -> Image:
    if layout.find("oci-layout") is None:
        raise BadInput(
            "not an OCI image layout: there is no file oci-layout",
            hint="an archive of an older `docker save` is written docker-archive:FILE",
        )
    index = layout.find("index.json")
    if index is None:
        raise BadInput("not an OCI image layout: there is no index.json")
    if index.size > MAX_JSON:
        raise BadInput(f"a JSON document of {index.size} bytes; the bound is {MAX_JSON}")
    return _chosen(layout, _entries(parse_object(index.read(0, index.size), "index.json")), name)


def read_entry(blobs: Blobs, entry: dict[str, Any]) -> Image:
    """The image for linux/amd64 behind one descriptor, checked as `read_image` does. Raises `BadInput`."""
    try:
        return _chosen(blobs, [entry], None)
    except BadInput as error:
        raise BadInput(error.what, where=error.where or blobs.place, hint=error.hint) from None


def _chosen(layout: Blobs, entries: list[dict[str, Any]], name: str | None) -> Image:
    seen = _Seen([])
    found: list[NamedImage[Blob]] = []
    indexes: dict[str, tuple[str, ...]] = {}
    for entry in entries:
        for manifest in _manifests(layout, [entry], 0, seen):
            found.append(NamedImage(_names_of(entry), manifest.digest, manifest))
            if entry["digest"] != manifest.digest:
                indexes[manifest.digest] = (*indexes.get(manifest.digest, ()), entry["digest"])
    if not found:
        raise BadInput(
            f"no image for linux/amd64; there is: {seen}", hint="build it with `--platform linux/amd64`"
        )
    chosen = choose(found, name)
    return replace(image(layout, chosen), indexes=indexes.get(chosen.digest, ()))


def _names_of(entry: dict[str, Any]) -> tuple[str, ...]:
    """What tools call it: in full (containerd, Docker), or by its tag (podman, skopeo, buildah)."""
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return ()
    return tuple(name for key in _NAMES if isinstance(name := annotations.get(key), str) and name)


def _entries(tree: dict[str, Any]) -> list[dict[str, Any]]:
    entries = tree.get("manifests")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput("damaged: 'manifests' is not a list of descriptors")
    if len(entries) > MAX_BLOBS:
        raise BadInput(f"{len(entries)} manifests; the bound is {MAX_BLOBS}")
    return entries


def _manifests(layout: Blobs, entries: list[dict[str, Any]], depth: int, seen: _Seen) -> Iterator[Blob]:
    """The manifests of images for our platform behind *entries*, depth first."""
    if depth >= MAX_INDEX_DEPTH:
        raise BadInput(f"indexes nested deeper than {MAX_INDEX_DEPTH}")
    for entry in entries:
        platform = entry.get("platform")
        if _is_artifact(entry) or _type(entry) not in INDEX_TYPES | MANIFEST_TYPES:
            seen.others += 1
            continue
        if isinstance(platform, dict) and not _fits(platform):
            seen.platforms.append(_shown(platform))
            continue
        named = parse_descriptor(_bare(entry), INDEX_TYPES | MANIFEST_TYPES, "image")
        seen.read += 1
        if seen.read > MAX_BLOBS:
            raise BadInput(f"its indexes name more than {MAX_BLOBS} images in all")
        if not is_there(layout, named):
            seen.absent += 1
        elif named.media_type in INDEX_TYPES:
            nested = document(layout, named)
            tree = parse_object(nested.read(0, nested.size), "an index")
            if tree.get("artifactType"):
                seen.others += 1
            else:
                yield from _manifests(layout, _entries(tree), depth + 1, seen)
        else:
            yield from _manifest(layout, document(layout, named), seen)


def _manifest(layout: Blobs, manifest: Blob, seen: _Seen) -> Iterator[Blob]:
    """The *manifest*, unless it is of something else than an image for our platform."""
    tree = parse_object(manifest.read(0, manifest.size), "the image manifest")
    if not _is_image(tree):
        seen.others += 1
        return
    described = parse_descriptor(_bare(tree.get("config")), CONFIG_TYPES, "the configuration")
    if not is_there(layout, described):
        seen.absent += 1
        return
    settings = document(layout, described)
    if (platform := _platform(settings.read(0, settings.size))) == PLATFORM:
        yield manifest
    else:
        seen.platforms.append("/".join(platform)[:64])


def _platform(config: bytes) -> tuple[str, str]:
    """System and processor of an image's configuration, which need not be one that could be used here.

    Whatever else is wrong with an image for others is no fault of the archive's: ours is read whole later.
    """
    tree = parse_object(config, "the image's configuration")
    match tree.get("os"), tree.get("architecture"):
        case str(system), str(processor) if system and processor:
            return system, processor
    settings = parse_config(config)  # names a field that is spelt as programs in Go would take it too
    return settings.os or "?", settings.architecture or "?"


def _is_artifact(entry: dict[str, Any]) -> bool:
    """Whether a descriptor says by itself that no image is behind it.

    A list of referrers calls an image by the type of its configuration (OCI distribution 1.1).
    """
    if entry.get("artifactType") and _type(entry, "artifactType") not in CONFIG_TYPES:
        return True
    annotations = entry.get("annotations")
    return isinstance(annotations, dict) and _ATTESTATION in annotations


def _type(entry: dict[str, Any], field: str = "mediaType") -> str:
    """The type that is written there; empty where it is no text."""
    return kind if isinstance(kind := entry.get(field), str) else ""


def _bare(entry: object) -> dict[str, Any]:
    """What of a descriptor names the blob: nothing else of an index's is used, or sent."""
    if not isinstance(entry, dict):
        raise BadInput("damaged: the descriptor of the configuration is missing")
    return {field: entry.get(field) for field in ("mediaType", "digest", "size")}


def _fits(platform: dict[str, Any]) -> bool:
    """Whether it may run here: what needs a feature of its own is for nodes that have it (nydus, Windows)."""
    if platform.get("os.features"):
        return False
    return "architecture" not in platform or (platform.get("os"), platform["architecture"]) == PLATFORM


def _shown(platform: dict[str, Any]) -> str:
    features = platform.get("os.features")
    needs = f" with {features[0]}" if isinstance(features, list) and features else ""
    return f"{platform.get('os')}/{platform.get('architecture')}{needs}"[:64]


def _is_image(tree: dict[str, Any]) -> bool:
    """Whether a manifest is of an image: artifacts use the same form with other types inside."""
    config, layers = tree.get("config"), tree.get("layers")
    if not isinstance(config, dict) or not isinstance(layers, list):
        return "artifactType" not in tree  # damaged: reading it on says how
    types = [layer.get("mediaType") for layer in layers if isinstance(layer, dict)]
    unpacked = all(isinstance(kind, str) and kind.startswith(_LAYER_PREFIXES) for kind in types)
    return _type(config) in CONFIG_TYPES and unpacked
