# SPDX-License-Identifier: Apache-2.0
"""`blob`: sealed chunks onto the spool, from where an earlier stream stopped."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, BlobRef
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE, chunk_count
from trustedpods.provider.admission.rights import CommandRights
from trustedpods.provider.core.disk import DiskState
from trustedpods.provider.core.pod import ENDED, LEAVING, Phase, PodRecord
from trustedpods.provider.lifecycle.provisioning import ProvisioningSteps
from trustedpods.provider.pods.blobs_ahead import BlobsAhead
from trustedpods.provider.pods.bundles import Bundles
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.replies import Replies
from trustedpods.provider.store.disk import Disk
from trustedpods.provider.store.spool import BlobWriter, Spool

AHEAD = 8
"""Chunks received ahead of the disk: it syncs now and then, and the line should not wait."""

CHUNK_WITHIN_S = 120.0
"""A line that moves less than a chunk in so long is given up; the blob can be resumed."""


class Uploads:
    """The verb by which images come."""

    def __init__(
        self,
        rights: CommandRights,
        bundles: Bundles,
        store: Spool,
        provisioning_steps: ProvisioningSteps,
        disk: Disk,
        ahead: BlobsAhead,
    ) -> None:
        self._ahead = ahead
        self._disk = disk
        self._rights = rights
        self._bundles = bundles
        self._store = store
        self._provisioning_steps = provisioning_steps

    async def blob(self, request: Request) -> None:
        """Says how many chunks are there, then takes the rest and acknowledges what is safe."""
        blob, ahead = self._wanted(request)
        publisher = request.opened.publisher
        total = chunk_count(blob.size)
        have = self._store.chunks(publisher, blob)
        if have == total:
            await request.replies.send(BlobAck(chunks=have), final=True)
            return
        self._check_room()
        counted = self._ahead.taking(self._standing(request), blob) if ahead else nullcontext()
        with counted:
            async with self._store.writer(publisher, blob) as writer:
                await request.replies.send(BlobAck(chunks=writer.chunks))
                await _take(request.replies, writer, total, partial(self._check_wanted, request, ahead))
        self._provisioning_steps.blob_arrived()
        await request.replies.send(BlobAck(chunks=total), final=True)

    def _check_wanted(self, request: Request, ahead: bool) -> None:
        """Chunks are taken for as long as the pod is there to use them."""
        self._check_room()
        record = self._standing(request)
        if ahead:
            self._ahead.check(record)

    def _standing(self, request: Request) -> PodRecord:
        record = self._rights.commanded_pod(request.opened)
        if record.phase in ENDED | LEAVING or record.phase is Phase.RETAINED:
            raise Refused(f"the pod is {record.phase}: {record.reason}", rule="phase")
        return record

    def _check_room(self) -> None:
        """What is left on a full disk is not for uploads."""
        if self._disk.state not in (DiskState.GOOD, DiskState.LOW):
            self._disk.check()

    def _wanted(self, request: Request) -> tuple[BlobRef, bool]:
        """Only blobs of a bundle that was accepted, exactly as it announced them; True: of the next one."""
        body = decode(request.opened.body, BlobBody)
        record = self._standing(request)
        announced = self._bundles.open(record).blobs.get(body.blob.blob_id)
        if announced is None and body.ahead:
            self._ahead.check(record)
            return body.blob, True
        if announced != body.blob:
            raise Refused("this blob is not in the pod's bundle", rule="blob-unknown")
        return announced, False


async def _take(replies: Replies, writer: BlobWriter, total: int, check_room: Callable[[], None]) -> None:
    """Receive ahead of the disk and the cipher; the first trouble of either side ends both."""
    trouble: list[TrustedPodsError] = []
    into, out = trio.open_memory_channel[bytes](AHEAD)

    async def receive() -> None:
        async with into:
            try:
                for _ in range(writer.chunks, total):
                    await into.send(await replies.stream.receive(SEALED_CHUNK_SIZE, CHUNK_WITHIN_S))
            except TrustedPodsError as error:
                trouble.append(error)

    async with trio.open_nursery() as nursery, out:
        nursery.start_soon(receive)
        try:
            await _write(replies, writer, out, check_room)
        except TrustedPodsError as error:
            trouble.append(error)
            nursery.cancel_scope.cancel()
    if trouble:
        raise trouble[0]


async def _write(
    replies: Replies,
    writer: BlobWriter,
    chunks: trio.MemoryReceiveChannel[bytes],
    check_room: Callable[[], None],
) -> None:
    acknowledged = writer.chunks
    async for sealed in chunks:
        check_room()
        await writer.add(sealed)
        if writer.synced > acknowledged and not writer.complete:
            acknowledged = writer.synced
            await replies.send(BlobAck(chunks=acknowledged))
