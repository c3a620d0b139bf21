# SPDX-License-Identifier: Apache-2.0
"""Images that come ahead of their version: a deploy then needs none, and nobody fills the spool with them."""

import os
from dataclasses import replace

import pytest

from tests.fakes.provider.caller import Caller, image_of, serving, until
from tests.fakes.provider.records import OWNER
from tests.fakes.provider.world import World
from trustedpods.protocol import limits
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, BlobRef, Needs
from trustedpods.protocol.sealing.blobs import chunk_count, derive
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.pods.blobs_ahead import LEAST, RECOUNT_S, AheadBounds, BlobsAhead


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


async def test_what_was_pushed_is_not_asked_for_again(world):
    """Over real libp2p: interrupted, gone on with, pushed again for nothing, and deployed without a blob."""
    async with serving(world) as (parts, caller):
        caller.blobs = image_of(os.urandom(20 * limits.BLOB_CHUNK))
        big = caller.refs()[2]
        await caller.send_blob(*big, stop_after=17, ahead=True)
        await until(lambda: parts.doors.spool.chunks(caller.ref.publisher, big[0]) >= 16)
        for ref, data in caller.refs():
            first = await caller.send_blob(ref, data, ahead=True)
            assert first >= 16 if ref == big[0] else first == 0
        assert await caller.send_blob(*big, ahead=True) == chunk_count(big[0].size)
        assert parts.pods.get(caller.ref.channel).version == 1, "the pod is left as it is"
        needs, _, _ = await caller.provision()
        assert needs == Needs(blobs=[])
        assert parts.pods.get(caller.ref.channel).version == 2


async def test_only_for_a_pod_that_serves(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        private, request = caller.signed("provision", caller.bundle())
        async with caller.talk(private, request) as (_, reply):
            await reply(Needs)
            caller.blobs = image_of(b"of the next version")
            with pytest.raises(Refused, match="only one that serves") as caught:
                await caller.send_blob(*caller.refs()[2], ahead=True)
            assert caught.value.rule == "phase"
        assert parts.pods.get(caller.ref.channel).phase is Phase.RECEIVED


async def test_it_must_be_said(world):
    async with serving(world) as (_, caller):
        caller.blobs = image_of(b"of the next version")
        with pytest.raises(Refused) as caught:
            await caller.send_blob(*caller.refs()[2])
        assert caught.value.rule == "blob-unknown"


async def test_a_publisher_s_blobs_ahead_have_a_bound_that_its_versions_do_not_count_for(world):
    async with serving(world) as (parts, caller):
        record = parts.pods.get(caller.ref.channel)
        ahead = bounded(parts, each=3 * limits.BLOB_CHUNK)
        caller.blobs = image_of(os.urandom(2 * limits.BLOB_CHUNK))
        first = caller.refs()[2]
        take(ahead, record, first[0])
        await caller.send_blob(*first, ahead=True)
        take(ahead, record, first[0])
        with pytest.raises(Refused, match="3 MiB of a publisher at most") as caught:
            take(ahead, record, a_blob(limits.BLOB_CHUNK))
        assert caught.value.rule == "blobs-ahead"
        take(ahead, record, a_blob(5))


async def test_a_short_blob_and_a_dropped_stream_count_too(world):
    async with serving(world) as (parts, caller):
        record, spool = parts.pods.get(caller.ref.channel), parts.doors.spool
        few, short = bounded(parts, blobs=3), bounded(parts, each=3 * LEAST)
        caller.blobs = image_of(b"next")
        await caller.send_blob(*caller.refs()[2], ahead=True)
        async with spool.writer(caller.ref.publisher, a_blob(5)):
            pass
        for ahead, what in ((few, "3 blobs"), (short, "MiB of a publisher")):
            with ahead.taking(record, a_blob(1)):
                ahead.check(record)
                with pytest.raises(Refused, match=what):
                    take(ahead, record, a_blob(2))
            take(ahead, record, a_blob(2))


async def test_all_publishers_together_have_a_bound(world):
    async with serving(world) as (parts, caller):
        record, spool = parts.pods.get(caller.ref.channel), parts.doors.spool
        other, blob = replace(record, ref=replace(record.ref, publisher=OWNER)), a_blob(5)
        ahead = bounded(parts, all=2 * LEAST, recount_s=0.0)
        async with spool.writer(OWNER, blob):
            pass
        with ahead.taking(record, a_blob(1)):
            for one in (record, other):
                with pytest.raises(Refused, match="of all publishers together") as caught:
                    take(ahead, one, a_blob(2))
                assert caught.value.rule == "blobs-ahead"
            take(ahead, other, blob)
        spool.forget(OWNER, blob)
        with ahead.taking(record, a_blob(1)):
            take(ahead, other, a_blob(2))


def bounded(parts, each=1 << 30, all=1 << 30, blobs=512, recount_s=RECOUNT_S):  # noqa: A002 - the bound's name
    bounds = AheadBounds(each, all, blobs, recount_s)
    return BlobsAhead(parts.pods, parts.bundles, parts.doors.spool, bounds)


def take(ahead, record, blob):
    with ahead.taking(record, blob):
        pass


def a_blob(size):
    """One of that many bytes, another for each size."""
    blob_id, key = derive(b"s" * 32, f"{size}")
    return BlobRef(blob_id=blob_id, key=key, digest=f"sha256:{size:064}", size=size, media_type="x")


async def test_a_stranger_pushes_nothing(world):
    async with serving(world) as (_, caller):
        stranger = Caller(world, caller.address)
        with pytest.raises(Refused, match="no such pod here"):
            await stranger.ask("blob", BlobBody(blob=stranger.refs()[2][0], ahead=True), BlobAck)
