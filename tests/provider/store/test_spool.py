# SPDX-License-Identifier: Apache-2.0
import hashlib
import os
import time

import pytest
import trio
import trio.testing

from tests.fakes.provider.records import OWNER, PUBLISHER
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError
from trustedpods.protocol.limits import BLOB_CHUNK, MIB
from trustedpods.protocol.messages.bundle import BlobRef
from trustedpods.protocol.sealing.blobs import SEALED_CHUNK_SIZE, chunk_count, derive, seal_chunk
from trustedpods.provider.store.spool import Spool, SpoolPace
from trustedpods.publisher.delivery.upload import ACK_TIMEOUT_S

DATA = os.urandom(2 * BLOB_CHUNK + 1000)


def blob_of(data, secret=b"s" * 32):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blob_id, key = derive(secret, digest)
    return BlobRef(blob_id=blob_id, key=key, digest=digest, size=len(data), media_type="x")


BLOB = blob_of(DATA)


def sealed(index, blob=BLOB, data=DATA):
    part = data[index * BLOB_CHUNK : (index + 1) * BLOB_CHUNK]
    return seal_chunk(blob.key, index, chunk_count(blob.size), part)


@pytest.fixture
def store(tmp_path):
    return Spool(tmp_path / "spool", 16)


async def upload(store, indices, blob=BLOB, data=DATA):
    async with store.writer(PUBLISHER, blob) as writer:
        for index in indices:
            await writer.add(sealed(index, blob, data))


async def test_what_went_in_comes_out(store):
    await upload(store, range(3))
    assert store.complete(PUBLISHER, BLOB)
    assert b"".join([part async for part in store.read(PUBLISHER, BLOB)]) == DATA


async def test_nothing_readable_lies_on_disk(store, tmp_path):
    await upload(store, range(3))
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*.sealed"))
    assert DATA[:64] not in written
    assert BLOB.key not in written


async def test_an_upload_goes_on_where_it_stopped(store, tmp_path):
    await upload(store, [0])
    path = next(tmp_path.rglob("*.sealed"))
    with path.open("ab") as file:
        file.write(b"half a chunk, then a kill")
    again = Spool(tmp_path / "spool", 16)
    assert again.chunks(PUBLISHER, BLOB) == 1
    await upload(again, [1, 2])
    assert b"".join([part async for part in again.read(PUBLISHER, BLOB)]) == DATA
    assert again.used_bytes == path.stat().st_size


@pytest.mark.parametrize("bad", ["flipped", "swapped", "short"])
async def test_a_chunk_that_is_not_the_one_is_refused(store, bad):
    chunk = {
        "flipped": bytes([sealed(0)[0] ^ 1]) + sealed(0)[1:],
        "swapped": sealed(1),
        "short": sealed(0)[:-1],
    }
    with pytest.raises(RemoteProtocolError):
        async with store.writer(PUBLISHER, BLOB) as writer:
            await writer.add(chunk[bad])
    assert store.chunks(PUBLISHER, BLOB) == 0
    assert store.used_bytes == 0


async def test_other_publishers_have_nothing(store):
    await upload(store, range(3))
    assert store.chunks(OWNER, BLOB) == 0


async def test_a_second_writer_goes_on_where_the_first_stopped(store, nursery):
    turns = []

    async def second():
        async with store.writer(PUBLISHER, BLOB) as writer:
            turns.append(writer.chunks)

    async with store.writer(PUBLISHER, BLOB) as first:
        nursery.start_soon(second)
        await trio.testing.wait_all_tasks_blocked()
        await first.add(sealed(0))
        assert turns == []
    with trio.fail_after(5):
        while not turns:
            await trio.sleep(0.01)
    assert turns == [1]


async def test_a_writer_whose_turn_does_not_come_is_told(tmp_path):
    store = Spool(tmp_path / "spool", 16, SpoolPace(turn_s=0.05))
    async with store.writer(PUBLISHER, BLOB):
        with pytest.raises(Refused) as caught:
            async with store.writer(PUBLISHER, BLOB):
                pass
    assert caught.value.rule == "busy"


async def test_what_is_written_counts_against_the_quota(tmp_path):
    """Announcing takes nothing from others; together they never write more than there is room for."""
    small = Spool(tmp_path / "spool", 4)
    other = blob_of(DATA, b"t" * 32)
    async with small.writer(PUBLISHER, BLOB) as first, small.writer(PUBLISHER, other) as second:
        assert small.used_bytes == 0
        for index in range(3):
            await first.add(sealed(index))
        await second.add(sealed(0, other))
        with pytest.raises(Refused) as caught:
            await second.add(sealed(1, other))
        assert caught.value.rule == "quota"
        assert small.used_bytes <= 4 * MIB
    files = sum(path.stat().st_size for path in tmp_path.rglob("*.sealed"))
    assert small.used_bytes == files == Spool(tmp_path / "spool", 4).used_bytes
    with pytest.raises(Refused) as caught:
        async with small.writer(PUBLISHER, blob_of(DATA, b"u" * 32)):
            pass
    assert caught.value.rule == "quota"


async def test_a_wrong_digest_is_found_when_it_is_read(store):
    lie = BLOB.model_copy(update={"digest": "sha256:" + "0" * 64})
    await upload(store, range(3), blob=lie)
    with pytest.raises(RemoteProtocolError):
        [part async for part in store.read(PUBLISHER, lie)]


async def test_damage_on_disk_is_not_the_publishers_fault(store, tmp_path):
    await upload(store, range(3))
    path = next(tmp_path.rglob("*.sealed"))
    data = bytearray(path.read_bytes())
    data[SEALED_CHUNK_SIZE + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(NetworkFailure, match="spool"):
        [part async for part in store.read(PUBLISHER, BLOB)]


async def test_an_empty_blob_is_one_empty_chunk(store):
    empty = blob_of(b"")
    await upload(store, [0], blob=empty, data=b"")
    assert store.complete(PUBLISHER, empty)
    assert await store.read_whole(PUBLISHER, empty, 10) == b""


async def test_read_whole_is_bounded(store):
    await upload(store, range(3))
    with pytest.raises(Refused):
        await store.read_whole(PUBLISHER, BLOB, 1000)


async def test_how_old_a_blob_is_says_the_clock_that_was_given(tmp_path):
    now = time.time()
    store = Spool(tmp_path / "spool", 64, clock=lambda: now)
    await upload(store, range(3))
    assert store.collect([], older_than_s=3600) == 0
    now += 7200
    assert store.collect([], older_than_s=3600) > 0


async def test_what_nobody_needs_goes_after_a_while(store):
    await upload(store, range(3))
    assert store.collect([BLOB.blob_id], older_than_s=-1) == 0
    assert store.collect([], older_than_s=3600) == 0
    assert store.collect([], older_than_s=-1) > 0
    assert store.used_bytes == 0
    assert store.chunks(PUBLISHER, BLOB) == 0


async def test_many_chunks_are_synced_together(store):
    async with store.writer(PUBLISHER, BLOB) as writer:
        await writer.add(sealed(0))
        assert (writer.chunks, writer.synced) == (1, 0)


async def test_over_a_slow_line_chunks_are_synced_before_the_client_gives_up(tmp_path):
    assert SpoolPace().sync_after_s < ACK_TIMEOUT_S / 2
    store = Spool(tmp_path / "spool", 16, SpoolPace(sync_after_s=0.0))
    async with store.writer(PUBLISHER, BLOB) as writer:
        await writer.add(sealed(0))
        assert (writer.chunks, writer.synced) == (1, 1)


async def test_a_large_layer_does_not_fill_the_page_cache(tmp_path, monkeypatch):
    """What was synced is dropped from memory, except behind the last chunk."""
    dropped = []
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: dropped.append(arguments[1:]))
    await upload(Spool(tmp_path / "spool", 16, SpoolPace(sync_every=1)), range(3))
    assert dropped == [(0, 0, os.POSIX_FADV_DONTNEED)] * 2
