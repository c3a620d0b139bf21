# SPDX-License-Identifier: Apache-2.0
"""From sealed blobs to images in the registry, decrypted on the way and nowhere else.

Each pod has a repository of its own, so no manifest can name another tenant's image. Every blob
is checked twice: against the digest in the bundle while it is read, and by the registry.
"""

import json
from contextlib import aclosing

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.bundle import BlobRef, ImageRef
from trustedpods.provider.cluster.image_registry import ImageRegistry
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.store.spool import Spool

MAX_MANIFEST = 4 * MIB
"""What the distribution specification lets a registry refuse above."""


async def import_images(
    registry: ImageRegistry, spool: Spool, progress: ProgressFeeds, record: PodRecord, opened: OpenBundle
) -> None:
    """Have every image of the pod in its repository; done already is done."""
    total = sum(blob.size for blob in opened.blobs.values())
    done = 0
    for image in opened.bundle.images:
        await _import_image(registry, spool, record, image)
        done += sum(blob.size for blob in image.blobs)
        progress.tell(
            record.channel, "import", f"image of {image.name} is in the registry", min(done, total), total
        )


def pull_references(registry: ImageRegistry, record: PodRecord, opened: OpenBundle) -> dict[str, str]:
    """What the node pulls for each container: by digest, from the pod's own repository."""
    return {
        image.name: registry.pull_reference(record.label, image.blobs[0].digest)
        for image in opened.bundle.images
    }


async def _import_image(registry: ImageRegistry, spool: Spool, record: PodRecord, image: ImageRef) -> None:
    manifest, publisher = image.blobs[0], record.ref.publisher
    if await registry.has_manifest(record.label, manifest.digest):
        return
    data = await spool.read_whole(publisher, manifest, MAX_MANIFEST)
    _check_manifest(data, image)
    for blob in image.blobs[1:]:
        await _import_blob(registry, spool, record.label, publisher, blob)
    await registry.push_manifest(record.label, manifest.media_type, data)


async def _import_blob(
    registry: ImageRegistry, spool: Spool, repo: str, publisher: Address, blob: BlobRef
) -> None:
    if await registry.has_blob(repo, blob.digest):
        return
    async with aclosing(spool.read(publisher, blob)) as chunks:
        await registry.push_blob(repo, blob.digest, blob.size, chunks)


def _check_manifest(data: bytes, image: ImageRef) -> None:
    """The image's manifest names exactly the blobs that came with it."""
    try:
        parsed = json.loads(data)
        named = [parsed["config"]["digest"], *(layer["digest"] for layer in parsed["layers"])]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Refused(f"{image.name}: not an image manifest", rule="image") from None
    if set(named) != {blob.digest for blob in image.blobs[1:]} or named[0] != image.blobs[1].digest:
        raise Refused(f"{image.name}: its manifest names other blobs than the bundle", rule="image")
