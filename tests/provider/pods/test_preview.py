# SPDX-License-Identifier: Apache-2.0
"""What a provider says that it would make is what it makes, and no secret is in it."""

import json

import pytest

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import MARKER, World, digest_of
from tests.protocol.networks.books import a_book
from tests.provider.books.test_books import a_world
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import namespace_name
from trustedpods.protocol.messages.admission import RenderBody, Rendered
from trustedpods.protocol.messages.bundle import SeedFiles
from trustedpods.provider.pods.preview import without_files

REST = {"users": {}, "seeds": []}
SECRET = "(not shown)"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def body_of(caller, **changes):
    manifest = caller.manifest.model_dump_json(by_alias=True).encode()
    return RenderBody(
        **({"manifest": manifest, "images": {"web": digest_of(caller.blobs[0])}} | REST | changes)
    )


async def test_the_objects_are_those_that_the_cluster_then_holds(world):
    world.cluster.labels = {"zone": "a"}
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(nodeSelector={"zone": "a"})
        rendered = await caller.ask("render", body_of(caller), Rendered)
        assert parts.pods.get(caller.ref.channel) is None, "nothing is kept"
        assert world.cluster.lives == {}
        await caller.provision()
        (life,) = world.cluster.lives.values()
    said = {(one["kind"], one["metadata"]["name"]): one for one in json.loads(rendered.objects)}
    holds = dict(life.objects)
    (would_be,) = [name for kind, name in said if kind == "Namespace"]
    assert would_be.startswith(namespace_name(caller.ref.channel, 0)[:-1])
    said["Namespace", life.name] = said.pop(("Namespace", would_be))
    assert said.keys() == holds.keys()
    text = json.dumps([said[key] for key in holds if key[0] != "Service"]).replace(would_be, life.name)
    kept = [holds[key] for key in holds if key[0] != "Service"]
    for one in kept:
        if one["kind"] == "Secret":
            assert MARKER not in json.dumps(said["Secret", one["metadata"]["name"]])
    assert json.loads(text) == [
        {**one, "data": dict.fromkeys(one["data"], SECRET)} if one["kind"] == "Secret" else one
        for one in kept
    ]


async def test_what_is_not_served_here_is_refused(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(trust="sealed")
        with pytest.raises(Refused, match="class sealed"):
            await caller.ask("render", body_of(caller), Rendered)
        keys = {"name": "keys", "secret": {"files": {"token": "token.txt"}}}
        data = {"name": "data", "persistent": {"size": "1Gi", "storageClassName": "fast"}}
        caller.manifest = manifest_of(volumes=[keys, data], scale={"max": 1})
        with pytest.raises(Refused, match="storage class fast is not offered"):
            await caller.ask("render", body_of(caller), Rendered)
        with pytest.raises(BadInput):
            await caller.ask("render", body_of(caller, manifest=b"{}"), Rendered)


def test_the_images_are_those_of_the_containers():
    manifest = manifest_of().model_dump_json(by_alias=True).encode()
    digest = "sha256:" + 64 * "a"
    assert (
        without_files(RenderBody(manifest=manifest, images={"web": digest}, **REST)).image_of("web").name
        == "web"
    )
    for images in ({}, {"other": digest}, {"web": digest, "other": digest}):
        with pytest.raises(BadInput, match="not those of the manifest's containers"):
            without_files(RenderBody(manifest=manifest, images=images, **REST))


DATA = {"name": "data", "persistent": {"size": "1Gi"}, "seed": {"directory": "first"}}
LOGIN = {"name": "keys", "secret": {"files": {"token": "token.txt"}, "generate": {"password": {}}}}


async def test_seeds_and_what_is_generated_are_shown_as_they_will_be(world):
    async with world.run() as (_, address):
        caller = Caller(world, address)
        base = manifest_of().spec.containers[0].model_dump(by_alias=True, exclude_none=True)
        part = base | {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
        caller.manifest = manifest_of(containers=[part], volumes=[LOGIN, DATA], scale={"max": 1})
        files = {"node/key": b""}
        user = json.loads(caller.blobs[1])["config"]["User"]
        more = {"users": {"web": user}, "seeds": [SeedFiles(volume="data", files=files)]}
        rendered = await caller.ask("render", body_of(caller, **more), Rendered)
        assert not world.registry.manifests, "nothing is pushed"
        bundle = caller.bundle()
        sent = bundle.model_copy(update={"seeds": [SeedFiles(volume="data", files={"node/key": b"k3y"})]})
        caller.bundle = lambda: sent
        await caller.provision()
        (life,) = world.cluster.lives.values()
        with pytest.raises(BadInput, match="names no user"):
            await caller.ask("render", body_of(caller, **more | {"users": {}}), Rendered)
        with pytest.raises(BadInput, match="seeds are not those"):
            await caller.ask("render", body_of(caller, **more | {"seeds": []}), Rendered)
    said = {(one["kind"], one["metadata"]["name"]): one for one in json.loads(rendered.objects)}
    assert said["Secret", "keys"]["data"] == {"token": SECRET, "password": SECRET}
    assert said["Deployment", "pod"]["spec"] == life.objects["Deployment", "pod"]["spec"]


async def test_a_node_is_shown_with_the_ways_to_those_that_it_calls(tmp_path):
    world = a_world(tmp_path)
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(network={"nodes": ["b"]})
        made = json.loads((await caller.ask("render", body_of(caller, book=a_book()), Rendered)).objects)
        assert ("Service", "peer-b") in {(one["kind"], one["metadata"]["name"]) for one in made}
        with pytest.raises(BadInput, match="not of the nodes"):
            await caller.ask("render", body_of(caller), Rendered)
