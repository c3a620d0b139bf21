# SPDX-License-Identifier: Apache-2.0
"""What differs between two bundles is told by name, and no value that may be secret is shown."""

import pytest
import yaml

from trustedpods.manifests.parse import parse_received
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, SecretValue
from trustedpods.publisher.core.updates.difference import (
    FieldChange,
    differences,
    effect_of,
    lost_volumes,
)

SPEC = """
containers:
  - name: app
    image: "oci:x"
    args: [--token, hidden-argument]
    env: [{name: MODE, value: hidden-value}, {name: KEPT, value: same}]
    ports: [{containerPort: 8080}]
    resources: {limits: {cpu: 100m, memory: 64Mi}}
services: [{name: web, expose: http, ports: [{port: 80, targetPort: 8080}]}]
"""


def manifest(change=lambda spec: None):
    spec = yaml.safe_load(SPEC)
    change(spec)
    tree = {"apiVersion": "trustedpods/v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    return parse_received(yaml_json(tree))


def yaml_json(tree):
    import json

    return json.dumps(tree).encode()


def bundle(change=lambda spec: None, digest="a", secrets=None):
    blobs = [
        BlobRef(blob_id=bytes(32), key=bytes(32), digest="sha256:" + part * 64, size=1, media_type="m")
        for part in (digest, "c")
    ]
    return Bundle(
        name="web",
        manifest=manifest(change).model_dump_json(by_alias=True).encode(),
        images=[ImageRef(name="app", blobs=blobs, layers=[])],
        secrets=[SecretValue(name="login", files=secrets or {})],
        seeds=[],
        commanders=[bytes(20)],
    )


def test_nothing_differs():
    assert differences(bundle(), bundle()) == ()


def test_an_image_by_its_digest():
    (change,) = differences(bundle(), bundle(digest="b"))
    assert change == FieldChange("image of app", "sha256:" + "a" * 64, "sha256:" + "b" * 64)


def set_app(**fields):
    return lambda spec: spec["containers"][0].update(fields)


def test_variables_by_their_names_alone():
    env = [{"name": "MODE", "value": "hidden-other"}, {"name": "NEW", "value": "hidden-new"}]
    found = differences(bundle(), bundle(set_app(env=env)))
    assert [change.text for change in found] == [
        "variable MODE of app: changes",
        "variable KEPT of app: gone",
        "variable NEW of app: new",
    ]


def test_a_program_is_not_shown():
    (change,) = differences(bundle(), bundle(set_app(args=["--token", "hidden-second"])))
    assert change.text == "containers[app].args: changes"


def test_sizes_and_replicas():
    def grow(spec):
        spec["containers"][0]["resources"]["limits"]["memory"] = "128Mi"
        spec["scale"] = {"max": 3}

    assert [change.text for change in differences(bundle(), bundle(grow))] == [
        "containers[app].resources.limits.memory: 64Mi -> 128Mi",
        "scale.max: 1 -> 3",
    ]


def test_secrets_by_their_files():
    found = differences(bundle(secrets={"a": b"1", "b": b"2"}), bundle(secrets={"a": b"3", "c": b"4"}))
    assert [change.text for change in found] == [
        "secret login, a: changes",
        "secret login, b: gone",
        "secret login, c: new",
    ]


def test_a_service_that_comes():
    def more(spec):
        spec["services"].append(
            {"name": "api", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
        )

    texts = [change.text for change in differences(bundle(), bundle(more))]
    assert "services[api].expose: new, http" in texts


def with_disk(spec):
    spec["volumes"] = [{"name": "data", "persistent": {"size": "1Gi"}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]


def as_tcp(spec):
    spec["services"][0]["expose"] = "tcp"


@pytest.mark.parametrize(
    ("before", "after", "effect", "why"),
    [
        (None, None, "in place", "beside"),
        (with_disk, with_disk, "restart", "write one volume"),
        (with_disk, None, "restart", "write one volume"),
        (None, as_tcp, "restart", "service web is exposed in another way"),
    ],
)
def test_what_becomes_of_the_version_before(before, after, effect, why):
    made = effect_of(manifest(before or (lambda _: None)), manifest(after or (lambda _: None)))
    assert made[0] == effect
    assert why in made[1]


def test_volumes_that_go():
    assert lost_volumes(manifest(with_disk), manifest()) == ("data",)
    assert lost_volumes(manifest(), manifest(with_disk)) == ()
