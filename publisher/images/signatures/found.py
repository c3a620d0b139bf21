# SPDX-License-Identifier: Apache-2.0
"""Where signatures of an image lie: under a tag, as referrers, or in the index of a layout.

cosign puts them under the tag `sha256-DIGEST.sig` of the image's repository; from its version 3 on, and with
`COSIGN_EXPERIMENTAL=1` before, they are referrers of the image. `cosign save` writes a layout with both.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import MANIFEST_TYPES, Descriptor, parse_descriptor
from trustedpods.protocol.images.references import ImageReference
from trustedpods.protocol.images.signatures import (
    MAX_SIGNATURE,
    SIGNATURE,
    SIGNATURE_TYPES,
    SIMPLE_SIGNING,
    ImageSignature,
    parse_bundle,
    parse_simple_signing,
)
from trustedpods.protocol.images.strict_json import MAX_JSON, parse_object
from trustedpods.publisher.images.layout import Layout
from trustedpods.publisher.images.registry.connection import Registry

MAX_READ: Final = 64
"""Documents with signatures that are read for one image: a repository may hold more of anybody's, and each
costs a question."""

MAX_BLOBS: Final = 128
"""Signatures that are fetched for one image, of all documents: as above, and each is held against keys."""

ReadBlob = Callable[[Descriptor], bytes]


def registry_signatures(reference: ImageReference, digest: str) -> Iterator[ImageSignature]:
    """Those of the image *digest* in the repository of *reference*, as they are fetched.

    Raises what `Registry` raises; one that is damaged is passed over, for anybody may put some there.
    """
    with Registry(reference) as registry:
        tag = digest.replace(":", "-")
        read = _at_most(MAX_BLOBS, registry.small_blob)
        known = registry.find_manifest(f"{tag}.sig")
        if known is not None:
            yield from _of_document(known, read)
        referrers = registry.referrers(digest) or registry.find_manifest(tag)
        for entry in [] if referrers is None else _entries(referrers):
            named = _named(entry)
            with suppress(BadInput):
                document = None if named is None else registry.find_manifest(named.digest)
                if document is not None:
                    yield from _of_document(document, read)


def _at_most(count: int, read: ReadBlob) -> ReadBlob:
    left = iter(range(count))

    def bounded(named: Descriptor) -> bytes:
        if next(left, None) is None:
            raise BadInput(f"more than {count} signatures beside one image")
        return read(named)

    return bounded


def layout_signatures(layout: Layout) -> Iterator[ImageSignature]:
    """All that lie in an image layout. Raises `BadInput` for a layout that cannot be read."""

    def read(named: Descriptor) -> bytes:
        extent = layout.blob(named)
        if extent is None or extent.size != named.size:
            raise BadInput(f"blob {named.digest} is not in it", where=layout.place)
        return extent.read(0, named.size)

    index = layout.find("index.json")
    if index is None or index.size > MAX_JSON:
        return
    for entry in _entries(index.read(0, index.size)):
        named = _named(entry)
        if named is not None and named.size <= MAX_JSON:
            with suppress(BadInput):
                yield from _of_document(read(named), read)


def _entries(index: bytes) -> list[dict[str, Any]]:
    """What an index names, as many as are read."""
    manifests = parse_object(index, "a list of signatures").get("manifests")
    found = manifests if isinstance(manifests, list) else []
    return [entry for entry in found if isinstance(entry, dict)][:MAX_READ]


def _named(entry: dict[str, Any]) -> Descriptor | None:
    """The manifest that an index names; None for what is none, or has no digest that may be asked for."""
    try:
        return parse_descriptor(_bare(entry), MANIFEST_TYPES, "a signature")
    except BadInput:
        return None


def _of_document(manifest: bytes, read: ReadBlob) -> Iterator[ImageSignature]:
    """Signatures that a manifest has as its layers; an image's has none."""
    try:
        layers = parse_object(manifest, "a signature's manifest").get("layers")
    except BadInput:
        return
    found = [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    for layer in [one for one in found if one.get("mediaType") in SIGNATURE_TYPES][:MAX_READ]:
        with suppress(BadInput):
            named = parse_descriptor(_bare(layer), SIGNATURE_TYPES, "a signature")
            if named.size <= MAX_SIGNATURE:
                yield from _signatures(named, read(named), layer.get("annotations"))


def _signatures(named: Descriptor, data: bytes, annotations: object) -> list[ImageSignature]:
    if named.media_type != SIMPLE_SIGNING:
        return parse_bundle(data)
    told = annotations.get(SIGNATURE) if isinstance(annotations, dict) else None
    return [parse_simple_signing(data, told)] if isinstance(told, str) else []


def _bare(entry: dict[str, Any]) -> dict[str, Any]:
    """What names the blob; a signature covers the bytes behind it, so their digest need not be trusted."""
    return {field: entry.get(field) for field in ("mediaType", "digest", "size")}
