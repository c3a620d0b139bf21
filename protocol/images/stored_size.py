# SPDX-License-Identifier: Apache-2.0
"""How much room images take at a provider; docs/metering.md is the law that this file implements."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustedpods.protocol.units import MIB


@dataclass(frozen=True, slots=True)
class SizedImage:
    """An image's blobs with their sizes by digest, and its layers from the lowest up: (digest, unpacked)."""

    blobs: Mapping[str, int]
    layers: tuple[tuple[str, int], ...]


def stored_bytes(images: Iterable[SizedImage]) -> int:
    """Bytes of all images: each blob once as it lies in the registry, and what nodes unpack of the layers.

    A node unpacks a layer once for each stack of layers below it: images share what they share from the
    lowest layer up, and a layer that is laid on twice is there twice.
    """
    blobs: dict[str, int] = {}
    stacks: dict[tuple[str, ...], int] = {}
    for image in images:
        blobs.update(image.blobs)
        digests = tuple(digest for digest, _ in image.layers)
        for count, (_, unpacked) in enumerate(image.layers, start=1):
            stacks[digests[:count]] = unpacked
    return sum(blobs.values()) + sum(stacks.values())


def whole_mib(size: int) -> int:
    """*size* bytes in MiB, rounded up: what is admitted and billed."""
    return -(-size // MIB)
