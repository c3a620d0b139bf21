# SPDX-License-Identifier: Apache-2.0
"""Images that come ahead of their version: a deploy then needs none, and nobody fills the spool with them."""

import os

import pytest

from tests.fakes.provider.caller import Caller, image_of, serving, until
from tests.fakes.provider.world import World
from trustedpods.protocol import limits
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, Needs
from trustedpods.protocol.sealing.blobs import chunk_count
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.pods.blobs_ahead import BlobsAhead


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
        record, spool = parts.pods.get(caller.ref.channel), parts.doors.spool
        ahead = BlobsAhead(parts.pods, parts.bundles, spool, 3 * limits.BLOB_CHUNK)
        caller.blobs = image_of(os.urandom(2 * limits.BLOB_CHUNK))
        first = caller.refs()[2]
        ahead.check(record, first[0])
        await caller.send_blob(*first, ahead=True)
        ahead.check(record, first[0])
        caller.blobs = image_of(os.urandom(limits.BLOB_CHUNK))
        with pytest.raises(Refused, match="3 MiB of a publisher at most") as caught:
            ahead.check(record, caller.refs()[2][0])
        assert caught.value.rule == "blobs-ahead"
        caller.blobs = image_of(b"small")
        ahead.check(record, caller.refs()[2][0])


async def test_a_stranger_pushes_nothing(world):
    async with serving(world) as (_, caller):
        stranger = Caller(world, caller.address)
        with pytest.raises(Refused, match="no such pod here"):
            await stranger.ask("blob", BlobBody(blob=stranger.refs()[2][0], ahead=True), BlobAck)
