# SPDX-License-Identifier: Apache-2.0
"""For any sound manifest: the objects are whole, each in its place, and do not tell whose they are."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import (
    NAME,
    a_life_with_an_init_container,
    by_kind,
    lives,
    the_deployment,
)
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.cluster.objects.pod_objects import objects

DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


@given(lives())
def test_every_object_has_its_place(life):
    made = objects(life)
    assert made[0]["kind"] == "Namespace"
    assert made[-1]["kind"] == "Deployment"
    assert len({(each["kind"], each["metadata"]["name"]) for each in made}) == len(made)
    for each in made:
        assert each["apiVersion"]
        assert DNS_NAME.match(each["metadata"]["name"])
        assert each["metadata"]["labels"][POD_LABEL] == life.label
        assert each["metadata"].get("namespace", life.namespace) == life.namespace
    assert NAME not in json.dumps(made)


@given(lives())
def test_applying_twice_changes_nothing(life):
    assert objects(life) == objects(life)


@given(lives())
def test_what_is_mounted_exists(life):
    spec = the_deployment(life)["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for container in spec["containers"]:
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes
    secrets = {made["metadata"]["name"] for made in by_kind(life, "Secret")}
    claims = {made["metadata"]["name"] for made in by_kind(life, "PersistentVolumeClaim")}
    assert secrets == {volume["secret"]["secretName"] for volume in volumes.values() if "secret" in volume}
    sources = [
        volume["persistentVolumeClaim"] for volume in volumes.values() if "persistentVolumeClaim" in volume
    ]
    assert claims == {source["claimName"] for source in sources}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {}}, "no image for container c"),
        ({"images": {"c": "127.0.0.1:5000/x:latest"}}, "not named by digest"),
        ({"secrets": {}}, "no files for secret volume s"),
    ],
)
def test_an_incomplete_life_is_a_bug_here(change, words):
    volumes = [{"name": "s", "secret": {"files": {"k": "k"}}}]
    life = a_life(a_manifest(volumes=volumes), secrets={"s": {"k": b""}})
    with pytest.raises(LocalProtocolError, match=words):
        objects(replace(life, **change))


def test_an_init_container_needs_its_image_too():
    life = a_life_with_an_init_container()
    with pytest.raises(LocalProtocolError):
        objects(replace(life, images={"c": life.images["c"]}))
