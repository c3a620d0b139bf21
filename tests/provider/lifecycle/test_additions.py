# SPDX-License-Identifier: Apache-2.0
"""The image that copies seeds, for a pod that has some."""

from base64 import b64decode, b64encode

import pytest

from tests.fakes.images.oci_images import CONFIG, MANIFEST
from tests.fakes.provider.caller import Caller, image_of, manifest_of
from tests.fakes.provider.pods import a_life
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import MARKER, FakeRegistry, World, digest_of
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.images.descriptors import parse_manifest
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, SeedFiles
from trustedpods.protocol.messages.pod import SignedStatement, Statement
from trustedpods.provider.cluster.isolation_proof import busybox
from trustedpods.provider.core.generated.key_pairs import private_key, public_key
from trustedpods.provider.lifecycle.additions import seed_copier, with_additions
from trustedpods.provider.pods.bundles import OpenBundle

RECORD = pod_record()


def blob(data, kind):
    digest = digest_of(data)
    return BlobRef(blob_id=b"i" * 32, key=b"k" * 32, digest=digest, size=len(data), media_type=kind)


def opened(*seeds):
    """A pod of one small image."""
    manifest, config, *_ = image_of()
    image = ImageRef(name="web", blobs=[blob(manifest, MANIFEST), blob(config, CONFIG)], layers=[])
    made = Bundle(
        name="web", manifest=b"", images=[image], secrets=[], seeds=list(seeds), commanders=[b"\x02" * 20]
    )
    data = [{"name": one.volume, "persistent": {"size": "1Gi"}, "seed": {"directory": "d"}} for one in seeds]
    return OpenBundle(made, manifest_of(volumes=data))


SEEDED = opened(SeedFiles(volume="data", files={"a": b"b"}))


@pytest.fixture
def registry():
    """One that has the pod's image."""
    made = FakeRegistry()
    manifest, config, *_ = image_of()
    made.manifests[RECORD.label, digest_of(manifest)] = manifest
    made.blobs[RECORD.label, digest_of(config)] = config
    return made


async def test_a_pod_without_seeds_gets_none(registry):
    assert await seed_copier(registry, RECORD, opened()) is None
    assert len(registry.manifests) == 1


async def test_it_stands_in_the_pod_s_own_repository_once(registry):
    copier = await seed_copier(registry, RECORD, SEEDED)
    repo, digest = copier.image.removeprefix("127.0.0.1:5000/").split("@")
    assert repo == RECORD.label
    data = registry.manifests[repo, digest]
    parts = parse_manifest(data, MANIFEST)
    assert {(repo, one.digest) for one in (parts.config, *parts.layers)} <= registry.blobs.keys()
    before = dict(registry.manifests)
    assert await seed_copier(registry, RECORD, SEEDED) == copier
    assert registry.manifests == before


async def test_it_knows_whom_the_images_run_as(registry):
    copier = await seed_copier(registry, RECORD, SEEDED)
    assert set(copier.users) == {"web"}
    assert copier.users["web"].split(":")[0].isdecimal()


async def test_an_image_that_is_gone_is_said(registry):
    registry.blobs.clear()
    with pytest.raises(Refused, match="image of web"):
        await seed_copier(registry, RECORD, SEEDED)


async def test_a_provider_that_lost_its_busybox_says_so(registry):
    with pytest.raises(Refused, match="cannot be seeded"):
        await seed_copier(registry, RECORD, SEEDED, places=())
    assert not busybox.is_there(())


GENERATES = {"name": "keys", "secret": {"files": {"token": "t"}, "generate": {"password": {"length": 20}}}}


def password(world, namespace):
    held = world.cluster.lives[namespace].objects["Secret", "keys"]["data"]
    assert b64decode(held["token"]) == MARKER.encode()
    return b64decode(held["password"]).decode()


async def test_a_generated_password_is_the_same_in_every_version(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[GENERATES])
        await caller.provision()
        (first,) = world.cluster.lives
        made = password(world, first)
        assert len(made) == 20
        assert made.isalnum()
        caller.blobs = image_of(b"second")
        await caller.provision()
        second = parts.pods.get(caller.ref.channel).namespace
        assert second != first
        assert password(world, second) == made
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(made.encode() in data for data in files)


async def test_one_that_came_to_no_version_yet_is_kept_too(tmp_path):
    """A start that was interrupted is made again with what it began with."""
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(volumes=[GENERATES])
        await caller.provision()
        record = parts.pods.get(caller.ref.channel)
        life = a_life(caller.manifest, namespace=record.namespace, secrets={"keys": {"token": b""}})
        again = await with_additions(parts.doors, record, parts.bundles.open(record), life)
        assert again.secrets["keys"]["password"].decode() == password(world, record.namespace)


def known_by(key_type="secp256k1", **fields):
    made = {"id": {"type": key_type, "identity": True, **fields}}
    return manifest_of(volumes=[{"name": "keys", "secret": {"files": {"token": "t"}, "generate": made}}])


def identity_told(world, caller, parts):
    """What the statement says, which is that of the key in the pod's Secret."""
    record = parts.pods.get(caller.ref.channel)
    signed = decode(record.statement, SignedStatement)
    told = decode(signed.statement, Statement).identity
    held = world.cluster.lives[record.namespace].objects["Secret", "keys"]["data"]["id"]
    assert told == public_key(private_key(b64decode(held), "secp256k1"))
    return told


async def test_what_a_pod_is_known_by_is_told_and_stays_until_a_higher_renewal(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = known_by()
        await caller.provision()
        first = identity_told(world, caller, parts)
        caller.blobs = image_of(b"second")
        caller.manifest = known_by(encoding="pem")
        await caller.provision()
        assert identity_told(world, caller, parts) == first
        caller.manifest = known_by(renewal=1)
        await caller.provision()
        second = identity_told(world, caller, parts)
        assert second != first
        for blobs, manifest in ((b"third", known_by(renewal=1)), (b"fourth", known_by())):
            caller.blobs, caller.manifest = image_of(blobs), manifest
            await caller.provision()
            assert identity_told(world, caller, parts) == second


async def test_an_update_that_would_lose_what_a_pod_is_known_by_is_refused(tmp_path):
    world = World(tmp_path)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = known_by()
        await caller.provision()
        first = identity_told(world, caller, parts)
        caller.manifest = known_by("ed25519", encoding="pem")
        world.cluster.lives[parts.pods.get(caller.ref.channel).namespace].objects["Secret", "keys"]["data"][
            "id"
        ] = b64encode(b"no key").decode()
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule == "generated-key"
        assert first
