# SPDX-License-Identifier: Apache-2.0
"""What a provider says that it would make is what it makes, and no secret is in it."""

import json

import pytest

from tests.fakes.provider.caller import Caller, manifest_of
from tests.fakes.provider.world import MARKER, World, digest_of
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import namespace_name
from trustedpods.protocol.messages.admission import RenderBody, Rendered
from trustedpods.provider.pods.preview import without_files

SECRET = "(not shown)"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def body_of(caller, **changes):
    manifest = caller.manifest.model_dump_json(by_alias=True).encode()
    return RenderBody(**({"manifest": manifest, "images": {"web": digest_of(caller.blobs[0])}} | changes))


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
    assert without_files(RenderBody(manifest=manifest, images={"web": digest})).image_of("web").name == "web"
    for images in ({}, {"other": digest}, {"web": digest, "other": digest}):
        with pytest.raises(BadInput, match="not those of the manifest's containers"):
            without_files(RenderBody(manifest=manifest, images=images))
