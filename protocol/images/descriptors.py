# SPDX-License-Identifier: Apache-2.0
"""An image's manifest and configuration, read exactly: the OCI image specification 1.1, and Docker's 2.2.

A node acts on more than digests: `urls` make it fetch from elsewhere, annotations of containerd become
labels of its snapshots. An image that has such things is refused, whoever wrote it there.
"""

import re
from dataclasses import dataclass
from typing import Any

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.strict_json import exact, parse_object, spelt_right
from trustedpods.protocol.limits import MAX_BLOB_SIZE, MAX_LAYERS

PLATFORM = ("linux", "amd64")

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

INDEX_TYPES = frozenset(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    )
)
MANIFEST_TYPES = frozenset(
    (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
CONFIG_TYPES = frozenset(
    (
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    )
)
LAYER_TYPES = {
    "application/vnd.oci.image.layer.v1.tar": "",
    "application/vnd.oci.image.layer.v1.tar+gzip": "gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd": "zstd",
    "application/vnd.docker.image.rootfs.diff.tar": "",
    "application/vnd.docker.image.rootfs.diff.tar.gzip": "gzip",
}
"""How the bytes of a layer of each type are packed. Docker's type of zstd is not among them: containerd 1.6
does not unpack it."""

_DESCRIPTOR_FIELDS = frozenset(("mediaType", "digest", "size", "annotations"))
_MANIFEST_FIELDS = frozenset(("schemaVersion", "mediaType", "config", "layers", "annotations"))
_CONFIG_FIELDS = frozenset(("architecture", "os", "config", "rootfs", "history", "created", "variant"))
_RUN_FIELDS = frozenset(
    ("User", "Entrypoint", "Cmd", "Env", "Volumes", "WorkingDir", "StopSignal", "ExposedPorts", "Labels")
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A blob as a manifest names it; *size* in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """An image: its configuration, and its layers from the lowest up, each as often as it is laid on."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What a configuration says of how an image runs.

    `volumes` are its VOLUME paths, `ports` what EXPOSE names, as `8080/tcp`.
    """

    os: str
    architecture: str
    layer_count: int
    user: str
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    env: tuple[str, ...]
    volumes: tuple[str, ...]
    stop_signal: str = ""
    ports: tuple[str, ...] = ()


def parse_descriptor(tree: object, types: frozenset[str], what: str) -> Descriptor:
    """One descriptor, with nothing but what names the blob; BadInput calls it *what*."""
    if not isinstance(tree, dict):
        raise BadInput(f"damaged: the descriptor of {what} is missing")
    digest, size, media_type = tree.get("digest"), tree.get("size"), tree.get("mediaType")
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise BadInput(f"not a sha256 digest: {str(digest)[:80]!r}")
    if not isinstance(media_type, str) or media_type not in types:
        raise BadInput(
            f"{digest} is of type {str(media_type)[:128]!r}, which cannot be used here",
            hint="build the image with OCI's types of layers (tar, gzip, zstd), all of them in it",
        )
    if type(size) is not int or not 0 <= size <= MAX_BLOB_SIZE:
        raise BadInput(f"blob {digest} has {str(size)[:32]} bytes; the bound is {MAX_BLOB_SIZE}")
    exact(tree, _DESCRIPTOR_FIELDS, f"the descriptor of {what} {digest}")
    _check_annotations(tree.get("annotations"), f"the descriptor of {what} {digest}")
    return Descriptor(media_type, digest, size)


def _check_annotations(annotations: object, what: str) -> None:
    if annotations is None:
        return
    if not isinstance(annotations, dict) or not all(isinstance(text, str) for text in annotations.values()):
        raise BadInput(f"damaged: the annotations of {what} are not texts")
    for name in annotations:
        if name.casefold().startswith("containerd.io/"):
            raise BadInput(
                f"{what} has the annotation {name[:80]!r}, which nodes take for an order",
                hint="build the image without lazy pulling (estargz, nydus)",
            )


def parse_manifest(data: bytes, media_type: str) -> ImageManifest:
    """The manifest in *data*, which is announced as *media_type*."""
    if media_type not in MANIFEST_TYPES:
        raise BadInput(f"an image manifest of type {media_type[:128]!r} cannot be used here")
    tree = parse_object(data, "the image manifest")
    exact(tree, _MANIFEST_FIELDS, "the image manifest")
    _check_annotations(tree.get("annotations"), "the image manifest")
    if tree.get("mediaType", media_type) != media_type or tree.get("schemaVersion") != 2:
        raise BadInput(f"the image manifest is no {media_type} of version 2")
    layers = tree.get("layers")
    if not isinstance(layers, list):
        raise BadInput("damaged: 'layers' is not a list of descriptors")
    if len(layers) > MAX_LAYERS:
        raise BadInput(f"{len(layers)} layers; the bound is {MAX_LAYERS}")
    return ImageManifest(
        parse_descriptor(tree.get("config"), CONFIG_TYPES, "the configuration"),
        tuple(parse_descriptor(layer, frozenset(LAYER_TYPES), "layer") for layer in layers),
    )


def parse_config(data: bytes) -> ImageConfig:
    """The configuration in *data*; texts and lists of it are what they should be."""
    tree = parse_object(data, "the image's configuration")
    spelt_right(tree, _CONFIG_FIELDS, "the image's configuration")
    run, rootfs = _part(tree, "config"), _part(tree, "rootfs")
    spelt_right(run, _RUN_FIELDS, "the image's configuration")
    spelt_right(rootfs, frozenset(("type", "diff_ids")), "the image's configuration")
    diffs = _texts(rootfs, "diff_ids")
    if not all(DIGEST.fullmatch(diff) for diff in diffs):
        raise BadInput("damaged: a diff_id of the image is no digest")
    return ImageConfig(
        os=_text(tree, "os"),
        architecture=_text(tree, "architecture"),
        layer_count=len(diffs),
        user=_text(run, "User"),
        entrypoint=_texts(run, "Entrypoint"),
        cmd=_texts(run, "Cmd"),
        env=_texts(run, "Env"),
        volumes=tuple(_part(run, "Volumes")),
        stop_signal=_text(run, "StopSignal"),
        ports=tuple(_part(run, "ExposedPorts")),
    )


def _part(tree: dict[str, Any], field: str) -> dict[str, Any]:
    found = tree.get(field)
    if found is not None and not isinstance(found, dict):
        raise BadInput(f"damaged: the image's {field} is not an object")
    return found or {}


def _text(tree: dict[str, Any], field: str) -> str:
    found = tree.get(field)
    if found is not None and not isinstance(found, str):
        raise BadInput(f"damaged: the image's {field} is not text")
    return found or ""


def _texts(tree: dict[str, Any], field: str) -> tuple[str, ...]:
    found = tree.get(field)
    if found is not None and (not isinstance(found, list) or not all(isinstance(one, str) for one in found)):
        raise BadInput(f"damaged: the image's {field} is not a list of texts")
    return tuple(found or ())
