# SPDX-License-Identifier: Apache-2.0
"""A provider that goes away while chunks are sealed ahead: its going is what is told, and nothing else."""

import pytest
import trio
import trio.testing

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.limits import BLOB_CHUNK
from trustedpods.protocol.messages.bundle import BlobRef
from trustedpods.publisher.delivery import upload
from trustedpods.publisher.parallel import open_nursery

CHUNKS = 20


class Content:
    def read_chunk(self, index):
        return bytes(BLOB_CHUNK)


class Gone:
    """A stream that fails while the one who seals waits for room."""

    async def send(self, chunk):
        await trio.testing.wait_all_tasks_blocked(0.05)
        raise NetworkFailure("the provider is gone")


class Conversation:
    stream = Gone()


async def test_a_stream_that_fails_is_what_is_told():
    ref = BlobRef(
        blob_id=bytes(32),
        key=bytes(32),
        digest="sha256:" + "0" * 64,
        media_type="x",
        size=CHUNKS * BLOB_CHUNK,
    )
    piece = upload.Piece(ref, Content())
    with pytest.raises(NetworkFailure, match="gone"):
        async with open_nursery() as nursery:
            nursery.start_soon(upload._push, Conversation(), piece, 0, CHUNKS, upload.Traffic())
