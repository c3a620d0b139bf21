# SPDX-License-Identifier: Apache-2.0
"""What stands at one path of a layer: read once for it; what was seen is kept by the layer's digest."""

import hashlib
from pathlib import Path

from trustedpods.protocol.images.descriptors import LAYER_TYPES
from trustedpods.protocol.images.layers import BLOCK, LayerEntry, LayerReader, removers
from trustedpods.publisher.images.kept import keep, kept
from trustedpods.publisher.images.oci import Blob


def entries_at(
    layer: Blob, name: str, ways: set[str], folder: Path, head: int = BLOCK
) -> dict[str, LayerEntry]:
    """The layer's entries at *name*, on the *ways* to it, and whiteouts of either.

    Of each file the first *head* bytes, or a few more. What was seen lies in *folder*. Raises `BadInput` as
    `LayerReader` and `Blob.verify` do.
    """
    packing = LAYER_TYPES[layer.media_type]
    digest = layer.digest.removeprefix("sha256:")
    place = hashlib.sha256(name.encode()).hexdigest()[:32]
    file = folder / f"{digest}.{packing or 'tar'}.{place}.{head}.json"
    known = kept(file)
    if known is not None:
        try:
            return {path: _entry(value) for path, value in known["entries"].items()}
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # not ours: read anew
    reader = LayerReader(packing, look_for={name, *ways, *removers(name)}, head=head)
    layer.verify(reader.feed)
    found = reader.finish().looked_at
    keep(file, {"entries": {path: [one.kind, one.mode, one.head.hex()] for path, one in found.items()}})
    return found


def _entry(value: object) -> LayerEntry:
    if not isinstance(value, list):
        raise TypeError(value)
    kind, mode, head = value
    return LayerEntry(str(kind), int(mode), bytes.fromhex(head))
