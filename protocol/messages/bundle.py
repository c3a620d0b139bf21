# SPDX-License-Identifier: Apache-2.0
"""What makes a pod: its bundle, and the blobs of its images on their way to the provider."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol import limits
from trustedpods.protocol.messages.base import U64, Bytes20, Bytes32, Digest, Message, ShortText
from trustedpods.protocol.networks.book import NetworkBook


class BlobRef(Message):
    """One blob of a bundle: id and key are derived from the publisher's secret and the digest.

    `size` counts plaintext bytes; `digest` is that of the plaintext.
    """

    blob_id: Bytes32
    key: Bytes32
    digest: Digest
    size: Annotated[int, Field(ge=0, le=limits.MAX_BLOB_SIZE)]
    media_type: ShortText


class LayerRef(Message):
    """A layer of an image: one of its blobs, and what a node takes for it (docs/metering.md), in bytes."""

    digest: Digest
    unpacked: Annotated[int, Field(ge=0, le=limits.MAX_UNPACKED)]


class ImageRef(Message):
    """An image of the bundle: `blobs[0]` is its manifest, `blobs[1]` its configuration, each blob once.

    `layers` are those of the manifest, from the lowest up, each as often as it is laid on.
    """

    name: ShortText
    blobs: Annotated[list[BlobRef], Field(min_length=2, max_length=limits.MAX_BLOBS)]
    layers: Annotated[list[LayerRef], Field(max_length=limits.MAX_LAYERS)]


class SecretValue(Message):
    """Content of one secret volume or secret environment variable."""

    name: ShortText
    files: dict[ShortText, Annotated[bytes, Field(max_length=limits.MAX_SECRET)]]


class SeedFiles(Message):
    """What a volume begins with, by path; `ordinal` is the replica's whose it is, or none for all of them."""

    volume: ShortText
    ordinal: Annotated[int, Field(ge=0, le=limits.MAX_ORDINAL)] | None = None
    files: Annotated[
        dict[ShortText, Annotated[bytes, Field(max_length=limits.MAX_SEED)]],
        Field(max_length=limits.MAX_SEED_FILES),
    ]


class Bundle(Message):
    """Everything that makes a pod: its manifest as JSON, its secrets and seeds, and where its images are.

    `commanders` are the addresses that may command the pod; they are pinned by its first bundle
    and never read from the chain. `book` is what a node of a network is given of its address book.
    """

    kind: Literal["bundle"] = "bundle"
    name: ShortText
    manifest: Annotated[bytes, Field(max_length=limits.MAX_MANIFEST_JSON)]
    images: Annotated[list[ImageRef], Field(max_length=limits.MAX_IMAGES)]
    secrets: Annotated[list[SecretValue], Field(max_length=32)]
    seeds: Annotated[list[SeedFiles], Field(max_length=limits.MAX_SEEDS)]
    commanders: Annotated[list[Bytes20], Field(min_length=1, max_length=8)]
    book: NetworkBook | None = None


class BlobBody(Message):
    """Announces chunks of one blob, sent as raw frames behind this request.

    `ahead`: it is not of the pod's bundle, but of one that comes later.
    """

    kind: Literal["blob"] = "blob"
    blob: BlobRef
    ahead: bool = False


class BlobNeed(Message):
    """One blob that the provider lacks, and how many whole chunks of it it has."""

    blob_id: Bytes32
    chunks: U64


class Needs(Message):
    """Which blobs are still missing; empty when all are there."""

    kind: Literal["needs"] = "needs"
    blobs: Annotated[list[BlobNeed], Field(max_length=limits.MAX_BLOBS * limits.MAX_IMAGES)]


class BlobAck(Message):
    """So many whole chunks of the blob are on the provider's disk."""

    kind: Literal["blob-ack"] = "blob-ack"
    chunks: U64
