# SPDX-License-Identifier: Apache-2.0
"""Send what a provider lacks: blobs as sealed chunks, from where the last run stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from trustedpods.protocol import limits
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import PodRef
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, BlobNeed, BlobRef
from trustedpods.protocol.sealing.blobs import chunk_count, seal_chunk
from trustedpods.publisher.images.oci import VerifiedBlob
from trustedpods.publisher.market.session import Conversation, Session
from trustedpods.publisher.results.deployed import SentBlob, SentImages

STREAMS = 2
"""Blobs sent at once: one seals and reads while the other waits for acknowledgements."""

AHEAD = 2
"""Sealed chunks waiting for the network, per blob: 2 MiB hide the disk and the cipher."""

ACK_TIMEOUT_S = 120.0
"""A provider that takes no chunk for so long is stuck; a slow link sends a MiB in far less."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One blob of the bundle and where to read it."""

    ref: BlobRef
    content: VerifiedBlob


@dataclass(slots=True)
class Traffic:
    """Counts what is sent; see `SentImages`."""

    sent_bytes: int = 0
    sent_chunks: int = 0
    blobs: list[SentBlob] = field(default_factory=list)

    def add(self, more: "Traffic") -> None:
        """Count another run of the same deploy."""
        self.sent_bytes += more.sent_bytes
        self.sent_chunks += more.sent_chunks
        self.blobs += more.blobs

    def so_far(self) -> SentImages:
        """The count as it stands."""
        return SentImages(self.sent_bytes, self.sent_chunks, tuple(self.blobs))


def plan(needs: Sequence[BlobNeed], pieces: Mapping[bytes, Piece]) -> list[tuple[Piece, int]]:
    """The pieces that the provider lacks, largest first, each with the chunks it has of them.

    Raises `RemoteProtocolError` when it asks for what is not in the bundle.
    """
    work: list[tuple[Piece, int]] = []
    for need in needs:
        piece = pieces.get(need.blob_id)
        if piece is None or need.chunks > chunk_count(piece.ref.size):
            raise RemoteProtocolError("the provider asks for a blob that is not in the bundle", rule="needs")
        work.append((piece, need.chunks))
    work.sort(key=lambda item: -item[0].ref.size)
    return work


async def upload(
    session: Session,
    ref: PodRef,
    generation: int,
    work: Sequence[tuple[Piece, int]],
    progress: Callable[[int], None],
    traffic: Traffic,
    *,
    ahead: bool = False,
) -> None:
    """Send every piece of *work*, *ahead* of its bundle or after it.

    *progress* is told of plaintext bytes as they are acknowledged.
    *traffic* counts as it goes, so that a failed run can say what it sent.
    Raises what the provider reports, `NetworkFailure`, or `BadInput` when a file changed.
    """
    waiting = list(work)

    async def worker() -> None:
        while waiting:
            piece, _ = waiting.pop(0)
            body = BlobBody(blob=piece.ref, ahead=ahead)
            async with session.converse("blob", ref, body, generation) as conversation:
                await _send(conversation, piece, progress, traffic)

    async with trio.open_nursery() as nursery:
        for _ in range(min(STREAMS, len(waiting))):
            nursery.start_soon(worker)


async def _send(
    conversation: Conversation, piece: Piece, progress: Callable[[int], None], traffic: Traffic
) -> None:
    total = chunk_count(piece.ref.size)
    start = await _acknowledged(conversation, 0, total)
    progress(_plain_bytes(piece, start))
    async with trio.open_nursery() as nursery:
        if not conversation.finished:
            nursery.start_soon(_push, conversation, piece, start, total, traffic)
        await _follow(conversation, piece, start, total, progress)
    traffic.blobs.append(SentBlob(piece.ref.digest, start, total, piece.ref.size))


async def _push(conversation: Conversation, piece: Piece, start: int, total: int, traffic: Traffic) -> None:
    """Read, seal and send chunks; sealing runs ahead in a thread."""
    into, out = trio.open_memory_channel[bytes](AHEAD)

    def sealed(index: int) -> bytes:
        return seal_chunk(piece.ref.key, index, total, piece.content.read_chunk(index))

    async def seal() -> None:
        async with into:
            for index in range(start, total):
                await into.send(await trio.to_thread.run_sync(sealed, index))

    async with out, trio.open_nursery() as nursery:  # whoever seals is cancelled before the channel breaks
        nursery.start_soon(seal)
        async for chunk in out:
            await conversation.stream.send(chunk)
            traffic.sent_bytes += len(chunk)
            traffic.sent_chunks += 1


async def _follow(
    conversation: Conversation, piece: Piece, start: int, total: int, progress: Callable[[int], None]
) -> None:
    """Read acknowledgements to the last one."""
    acknowledged = start
    while not conversation.finished:
        now = await _acknowledged(conversation, acknowledged, total)
        progress(_plain_bytes(piece, now) - _plain_bytes(piece, acknowledged))
        acknowledged = now
    if acknowledged != total:
        raise RemoteProtocolError(f"the provider ended at chunk {acknowledged} of {total}", rule="blob-ack")


async def _acknowledged(conversation: Conversation, least: int, total: int) -> int:
    ack = await conversation.reply(BlobAck, timeout=ACK_TIMEOUT_S)
    if not least <= ack.chunks <= total:
        raise RemoteProtocolError(
            f"the provider acknowledged {ack.chunks} chunks, of {total}, after {least}", rule="blob-ack"
        )
    return ack.chunks


def _plain_bytes(piece: Piece, chunks: int) -> int:
    return min(chunks * limits.BLOB_CHUNK, piece.ref.size)
