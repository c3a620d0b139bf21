# SPDX-License-Identifier: Apache-2.0
"""Blobs of others, and blobs that are not what they should be: none gets into a pod."""

import json
import os
from contextlib import asynccontextmanager, suppress

import pytest

from tests.fakes.images.oci_images import LAYER, descriptor
from tests.fakes.provider.caller import Caller, image_of, unpacked_bytes, until
from tests.fakes.provider.world import digest_of
from trustedpods.protocol import limits
from trustedpods.protocol.errors import NetworkFailure, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.bundle import BlobAck, BlobBody, BlobRef, ImageRef, LayerRef, Needs
from trustedpods.protocol.messages.pod import PodStatus, SignedStatement, StatusBody
from trustedpods.protocol.sealing.blobs import chunk_count, seal_chunk
from trustedpods.provider.core.pod import Phase

pytestmark = pytest.mark.live

CHUNKS = 4


@asynccontextmanager
async def waiting(world, address, *, chunks=CHUNKS):
    """A publisher whose bundle was taken and whose large layer is still to come."""
    caller = Caller(world, address)
    caller.blobs = image_of(os.urandom((chunks - 1) * limits.BLOB_CHUNK))
    await caller.pay()
    private, request = caller.signed("provision", caller.bundle())
    async with caller.talk(private, request) as (_, reply):
        await reply(Needs)
        yield caller, reply


async def steal(thief, victim):
    """The thief's bundle names the victim's layer by its true id, key and digest; what then is missing."""
    theft = victim.refs()[2][0]
    stolen = victim.blobs[2]
    thief.blobs = image_of(b"of the thief")[:2]
    parsed = json.loads(thief.blobs[0])
    parsed["layers"] = [descriptor(LAYER, stolen)]
    thief.blobs[0] = json.dumps(parsed).encode()
    own = [ref for ref, _ in thief.refs()]
    layers = [LayerRef(digest=theft.digest, unpacked=unpacked_bytes(stolen))]
    image = ImageRef(name="web", blobs=[*own, theft], layers=layers)
    bundle = thief.bundle().model_copy(update={"images": [image]})
    return theft, bundle


async def test_another_tenants_blob_digest(world):
    """The layer is on the provider already. Whoever names it is told that it is missing, as for any other."""
    async with world.run() as (parts, address):
        victim, thief = Caller(world, address), Caller(world, address)
        await victim.provision()
        theft, bundle = await steal(thief, victim)
        private, request = thief.signed("provision", bundle)
        async with thief.talk(private, request) as (_, reply):
            needs, _ = await reply(Needs)
            assert {need.blob_id: need.chunks for need in needs.blobs}[theft.blob_id] == 0
            await thief.pay()
            for ref, data in thief.refs():
                await thief.send_blob(ref, data)
            status = await thief.ask("status", StatusBody(), PodStatus)
            assert status.phase == "received", "it waits for the layer that it does not have"
        assert not [repo for repo, _ in world.registry.manifests if repo == parts.pods.standing[-1].label]
        assert (await victim.ask("status", StatusBody(), PodStatus)).phase == "serving"


async def test_another_tenants_layer_in_an_image_manifest(world):
    """The registry has the layer, in another repository; a manifest may name only its own bundle's blobs."""
    async with world.run() as (_, address):
        victim, thief = Caller(world, address), Caller(world, address)
        await victim.provision()
        thief.blobs = image_of(b"of the thief")
        foreign = json.loads(thief.blobs[0])
        foreign["layers"].append(descriptor(LAYER, victim.blobs[2]))
        thief.blobs[0] = json.dumps(foreign).encode()
        with pytest.raises(Refused) as caught:
            await thief.provision()
        assert caught.value.rule == "image"
        assert (await victim.ask("status", StatusBody(), PodStatus)).phase == "serving"


async def test_have_checks_are_scoped_to_the_publisher(world):
    """Two publishers with the same public layer: each has to send it, and neither learns of the other."""
    async with world.run() as (parts, address):
        first, second = Caller(world, address), Caller(world, address)
        first.blobs = second.blobs = image_of(b"a public layer")
        needs, _, _ = await first.provision()
        assert len(needs.blobs) == 3
        needs, _, _ = await second.provision()
        assert [need.chunks for need in needs.blobs] == [0, 0, 0]
        ids = [{ref.blob_id for ref, _ in caller.refs()} for caller in (first, second)]
        assert not ids[0] & ids[1]
        labels = {parts.pods.get(caller.ref.channel).label for caller in (first, second)}
        assert {repo for repo, _ in world.registry.manifests} == labels, "a repository for each pod"


async def test_images_are_pulled_by_digest_from_the_pods_own_repository(world):
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        await caller.provision()
        (life,) = world.cluster.lives.values()
        (container,) = life.objects["Deployment", "pod"]["spec"]["template"]["spec"]["containers"]
        label = parts.pods.get(caller.ref.channel).label
        assert container["image"] == f"127.0.0.1:5000/{label}@{digest_of(caller.blobs[0])}"


def _flipped(chunks):
    return [bytes([chunks[0][0] ^ 1]) + chunks[0][1:]]


def _tag_flipped(chunks):
    return [chunks[0], chunks[1][:-1] + bytes([chunks[1][-1] ^ 0x80])]


def _truncated(chunks):
    return [chunks[0], chunks[1][:-1]]


def _empty(_chunks):
    return [b""]


def _longer(chunks):
    return [chunks[0] + b"x"]


def _swapped(chunks):
    return [chunks[1], chunks[0]]


def _repeated(chunks):
    return [chunks[0], chunks[0]]


def _skipped(chunks):
    return [chunks[0], chunks[2]]


def _last_first(chunks):
    return [chunks[-1]]


async def _all_of(answer):
    while True:
        await answer(BlobAck)


@pytest.mark.parametrize(
    "bend",
    [_flipped, _tag_flipped, _truncated, _empty, _longer, _swapped, _repeated, _skipped, _last_first],
)
async def test_blob_bytes_flipped_truncated_or_out_of_order(world, bend):
    """The bad chunk is refused at its place, the good ones before it stay, and the rest can still come."""
    async with world.run() as (parts, address), waiting(world, address) as (caller, reply):
        ref, data = caller.refs()[2]
        total = chunk_count(ref.size)
        parted = [data[at : at + limits.BLOB_CHUNK] for at in range(0, len(data), limits.BLOB_CHUNK)]
        good = [seal_chunk(ref.key, index, total, part) for index, part in enumerate(parted)]
        bad = bend(good)
        private, request = caller.signed("blob", BlobBody(blob=ref))
        async with caller.talk(private, request) as (stream, answer):
            await answer(BlobAck)
            for chunk in bad:
                with suppress(NetworkFailure):
                    await stream.send(chunk)
            with pytest.raises((RemoteProtocolError, Refused, NetworkFailure)):
                await _all_of(answer)
        kept = parts.doors.spool.chunks(caller.ref.publisher, ref)
        assert kept == sum(1 for had, ours in zip(bad, good, strict=False) if had == ours)
        for blob, content in caller.refs():
            await caller.send_blob(blob, content)
        final = False
        while not final:
            _, final = await reply(Progress, SignedStatement)


async def test_a_blob_that_is_not_what_its_digest_says(world):
    """Sealed well, under its announced id, and of another content: the whole is compared before any use."""
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.blobs = image_of(b"announced")
        honest = caller.refs
        other = bytes(len(caller.blobs[2]))
        caller.refs = lambda: [*honest()[:2], (honest()[2][0], other)]
        with pytest.raises(TrustedPodsError, match=r"digest|is another"):
            await caller.provision()
        assert not world.registry.manifests
        assert not world.cluster.lives


async def test_a_spool_that_was_changed_on_disk(world, tmp_path):
    """The host's hand in the spool: chunks were sealed by the publisher, so nothing of it is ever used."""
    async with world.run() as (parts, address), waiting(world, address) as (caller, _):
        for blob, content in caller.refs()[1:]:
            await caller.send_blob(blob, content)
        (path,) = (tmp_path / "spool").glob(f"*/{caller.refs()[2][0].blob_id.hex()}.sealed")
        changed = bytearray(path.read_bytes())
        changed[limits.BLOB_CHUNK // 2] ^= 1
        path.write_bytes(changed)
        await caller.send_blob(*caller.refs()[0])
        await until(lambda: parts.pods.get(caller.ref.channel).phase is Phase.IMPORTING)
        with pytest.raises(NetworkFailure, match="damaged"):
            async for _ in parts.doors.spool.read(caller.ref.publisher, caller.refs()[2][0]):
                pass
        assert not world.registry.manifests
        assert not world.cluster.lives


async def test_a_blob_of_another_size_under_a_known_id(world):
    async with world.run() as (_, address), waiting(world, address) as (caller, _):
        ref, _ = caller.refs()[2]
        larger = BlobRef.model_validate(ref.model_dump() | {"size": limits.MAX_BLOB_SIZE})
        with pytest.raises(Refused) as caught:
            await caller.ask("blob", BlobBody(blob=larger), BlobAck)
        assert caught.value.rule == "blob-unknown"
