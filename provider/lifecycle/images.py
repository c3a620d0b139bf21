# SPDX-License-Identifier: Apache-2.0
"""From sealed blobs to images in the registry, decrypted on the way and nowhere else.

Each pod has a repository of its own, so no manifest can name another tenant's image. What a bundle says
of an image (blobs, sizes, what its layers unpack to) is compared with the image itself for every bundle,
also where the registry has the image already: it is admitted and billed by what the bundle says.
"""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import NamedTuple

import trio

from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.protocol.images.descriptors import (
    LAYER_TYPES,
    Descriptor,
    ImageManifest,
    parse_config,
    parse_manifest,
)
from trustedpods.protocol.images.layers import LayerReader
from trustedpods.protocol.images.runnable import check_runnable, user_number
from trustedpods.protocol.images.strict_json import MAX_JSON
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.bundle import BlobRef, ImageRef
from trustedpods.provider.cluster.image_registry import ImageRegistry
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.pods.bundles import OpenBundle
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.store.spool import Spool

MAX_REMEMBERED = 2048
"""Layers whose unpacked size is remembered, by digest: two hundred images. Others are read once more."""

MAX_READING = 1
"""Layers that are unpacked at once, to be counted: it is computing, and the daemon's other tasks want their
turn."""


MAX_EARLY = 32 * MIB
"""Bytes of the images that are brought into the registry before they are paid for. Their blobs lie in the
spool already: an unpaid bundle takes at most so much more."""

MAX_EARLY_UNPACKED = 128 * MIB
"""What these may unpack to: half a second of computing for somebody who may never pay."""

_log = logging.getLogger(__name__)


class _Source(NamedTuple):
    """Where the blobs of one pod come from: its publisher's spool, or its own repository."""

    record: PodRecord
    image: ImageRef


def _run_as_user(opened: OpenBundle, image: ImageRef) -> int | None:
    """What the manifest says of the user of the image's container."""
    container = next(part for part in opened.manifest.spec.all_containers if part.name == image.name)
    return container.security_context.user


class ImageImport:
    """Checks images and brings them into the registry."""

    def __init__(self, registry: ImageRegistry, spool: Spool, progress: ProgressFeeds) -> None:
        self._registry = registry
        self._spool = spool
        self._progress = progress
        self._unpacked: OrderedDict[str, int] = OrderedDict()
        self._reading = trio.CapacityLimiter(MAX_READING)
        self._early = trio.Lock()

    async def run(self, record: PodRecord, opened: OpenBundle, *, told: bool = True) -> frozenset[int]:
        """Have every image of the pod in its repository; the user ids of its containers.

        Whoever follows the work hears of it where it is *told*. Refused where an image is not what the
        bundle says.
        """
        users: set[int] = set()
        total = sum(blob.size for blob in opened.blobs.values())
        done = 0
        for image in opened.bundle.images:
            with _refused(image.name):
                users.add(await self._image(_Source(record, image), opened))
            done += sum(blob.size for blob in image.blobs)
            if told:
                text = f"image of {image.name} is in the registry"
                self._progress.tell(record.channel, "import", text, min(done, total), total)
        return frozenset(users)

    async def run_early(self, record: PodRecord, opened: OpenBundle) -> None:
        """As `run`, before the pod is paid for: small images, one pod at a time. Failures wait for `run`."""
        if not comes_early(opened) or self._early.locked():
            return
        async with self._early:
            try:
                await self.run(record, opened, told=False)
            except TrustedPodsError as error:
                _log.info("%s: its images are not in the registry yet: %s", record.label, error)

    async def users_of(self, record: PodRecord, opened: OpenBundle) -> frozenset[int]:
        """The user ids of the pod's containers whose images are in its repository."""
        users: set[int] = set()
        for image in opened.bundle.images:
            named, repo = image.blobs[0], record.label
            data = await self._registry.read_manifest(repo, named.digest, named.media_type)
            if data is None:
                continue
            wanted = parse_manifest(data, named.media_type).config
            config = await self._registry.read_blob(repo, wanted.digest, wanted.size)
            if config is not None:
                users.add(user_number(parse_config(config).user, _run_as_user(opened, image)))
        return frozenset(users)

    async def _image(self, source: _Source, opened: OpenBundle) -> int:
        """The image in the repository; the user id that it runs as."""
        image, repo = source.image, source.record.label
        named = image.blobs[0]
        there = await self._registry.read_manifest(repo, named.digest, named.media_type)
        data = await self._small(source, named) if there is None else there
        manifest = parse_manifest(data, named.media_type)
        _check_manifest(manifest, len(data), image)
        config = await self._registry.read_blob(repo, manifest.config.digest, manifest.config.size)
        if config is None:
            config = await self._small(source, image.blobs[1])
            await self._registry.push_blob(repo, manifest.config.digest, len(config), _Once(config))
        container = next(part for part in opened.manifest.spec.all_containers if part.name == image.name)
        settings = parse_config(config)
        if settings.layer_count != len(manifest.layers):
            raise BadInput("layers and configuration do not fit together")
        check_runnable(settings, container.command, container.args, container.security_context.user)
        for layer in {layer.digest: layer for layer in manifest.layers}.values():
            await self._layer(source, layer)
        if there is None:
            await self._registry.push_manifest(repo, named.media_type, data)
        return user_number(settings.user, container.security_context.user)

    async def _small(self, source: _Source, blob: BlobRef) -> bytes:
        return await self._spool.read_whole(source.record.ref.publisher, blob, MAX_JSON)

    async def _layer(self, source: _Source, layer: Descriptor) -> None:
        """The layer in the repository, its sizes compared with what the bundle says."""
        repo = source.record.label
        told = next(one.unpacked for one in source.image.layers if one.digest == layer.digest)
        reader = _CountedLayer(layer, told, self._reading)
        stored = await self._registry.blob_size(repo, layer.digest)
        if stored is None:
            blob = next(blob for blob in source.image.blobs if blob.digest == layer.digest)
            async with aclosing(self._spool.read(source.record.ref.publisher, blob)) as chunks:
                await self._registry.push_blob(repo, layer.digest, layer.size, _Passing(chunks, reader.feed))
        elif stored != layer.size:
            raise BadInput(f"{layer.digest} has {stored} bytes, not {layer.size}")
        elif layer.digest in self._unpacked:
            reader.check(self._unpacked[layer.digest])
            return
        else:
            await self._registry.read_stored(repo, layer.digest, layer.size, reader.feed)
        self._remember(layer.digest, await reader.finish())

    def _remember(self, digest: str, unpacked: int) -> None:
        """What a digest unpacks to is the same for everybody and for ever."""
        self._unpacked[digest] = unpacked
        while len(self._unpacked) > MAX_REMEMBERED:
            self._unpacked.popitem(last=False)


def comes_early(opened: OpenBundle) -> bool:
    """Whether a bundle's images are small enough to be brought in before they are paid for. Pure."""
    packed = sum(blob.size for blob in opened.blobs.values())
    unpacked = sum(layer.unpacked for image in opened.bundle.images for layer in image.layers)
    return packed <= MAX_EARLY and unpacked <= MAX_EARLY_UNPACKED


class _CountedLayer:
    """Unpacks a layer as it passes, no further than what was told of it."""

    def __init__(self, layer: Descriptor, told: int, limiter: trio.CapacityLimiter) -> None:
        self._reader = LayerReader(LAYER_TYPES[layer.media_type], told)
        self._digest = layer.digest
        self._sha256 = hashlib.sha256()
        self._told = told
        self._limiter = limiter

    async def feed(self, data: bytes) -> None:
        """The next bytes of the blob."""
        await trio.to_thread.run_sync(self._feed, data, limiter=self._limiter)

    def _feed(self, data: bytes) -> None:
        self._sha256.update(data)
        self._reader.feed(data)

    async def finish(self) -> int:
        """Bytes unpacked, which are those that were told."""
        if f"sha256:{self._sha256.hexdigest()}" != self._digest:
            raise BadInput(f"{self._digest} is damaged")
        found = self._reader.finish().unpacked
        self.check(found)
        return found

    def check(self, found: int) -> None:
        """BadInput unless *found* bytes are what was told."""
        if found != self._told:
            raise BadInput(
                f"layer {self._digest} unpacks to {found} bytes, not to {self._told}", rule="image-size"
            )


class _Passing:
    """Chunks that are shown to somebody on their way; no generator, as nobody would close it."""

    def __init__(self, chunks: AsyncGenerator[bytes], show: Callable[[bytes], Awaitable[None]]) -> None:
        self._chunks = chunks
        self._show = show

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        chunk = await anext(self._chunks)
        await self._show(chunk)
        return chunk


class _Once:
    """One chunk."""

    def __init__(self, data: bytes) -> None:
        self._left = [data]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """What is wrong with an image is a refusal of the provider's, naming the container."""
    try:
        yield
    except BadInput as error:
        raise Refused(f"{name}: {error.what}", rule=error.rule or "image", hint=error.hint) from None


def pull_references(registry: ImageRegistry, record: PodRecord, opened: OpenBundle) -> dict[str, str]:
    """What the node pulls for each container: by digest, from the pod's own repository."""
    return {
        image.name: registry.pull_reference(record.label, image.blobs[0].digest)
        for image in opened.bundle.images
    }


def _check_manifest(manifest: ImageManifest, size: int, image: ImageRef) -> None:
    """The image's manifest names exactly the blobs and layers that the bundle names, with their sizes."""
    told = {blob.digest: (blob.size, blob.media_type) for blob in image.blobs[1:]}
    named = {one.digest: (one.size, one.media_type) for one in (manifest.config, *manifest.layers)}
    if image.blobs[0].size != size or told != named or image.blobs[1].digest != manifest.config.digest:
        raise BadInput("its manifest names other blobs than the bundle")
    if [layer.digest for layer in image.layers] != [layer.digest for layer in manifest.layers]:
        raise BadInput("its manifest names other layers than the bundle")
