# SPDX-License-Identifier: Apache-2.0
"""A manifest says which blobs make the image, and nothing else that a node would act on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.images.oci_images import CONFIG, LAYER, MANIFEST, descriptor
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.descriptors import parse_config, parse_manifest
from trustedpods.protocol.limits import MAX_BLOB_SIZE, MAX_LAYERS

SOUND = {
    "schemaVersion": 2,
    "mediaType": MANIFEST,
    "config": descriptor(CONFIG, b"{}"),
    "layers": [descriptor(LAYER, b"x")],
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def parse(tree):
    return parse_manifest(json.dumps(tree).encode(), MANIFEST)


def test_a_sound_manifest():
    assert [layer.size for layer in parse(SOUND).layers] == [1]


@pytest.mark.parametrize("place", ["config", "layer"])
@pytest.mark.parametrize(
    "change",
    [
        {"urls": ["http://10.0.0.1/"]},
        {"URLs": ["http://10.0.0.1/"]},
        {"data": "eA=="},
        {"platform": {"os": "linux"}},
        {"artifactType": "a/b"},
        {"annotations": {"containerd.io/snapshot.ref": "x"}},
        {"annotations": {"Containerd.io/snapshot/x": "x"}},
        {"annotations": {"a": 1}},
        {"annotations": ["a"]},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"mediaType": None},
        {"mediaType": ["x"]},
        {"size": -1},
        {"size": 1.0},
        {"size": True},
        {"size": MAX_BLOB_SIZE + 1},
        {"size": None},
        {"digest": "sha256:" + "A" * 64},
        {"digest": "sha512:" + "a" * 128},
        {"digest": None},
        {"Digest": "sha256:" + "a" * 64},
        {"unknown": 1},
    ],
)
def test_what_a_descriptor_may_not_have(place, change):
    bent = (SOUND["config"] if place == "config" else SOUND["layers"][0]) | change
    with pytest.raises(BadInput):
        parse(SOUND | ({"config": bent} if place == "config" else {"layers": [bent]}))


@pytest.mark.parametrize(
    "change",
    [
        {"subject": descriptor(MANIFEST, b"x")},
        {"artifactType": "a/b"},
        {"Layers": []},
        {"layer\u017f": []},
        {"schemaVersion": 1},
        {"mediaType": CONFIG},
        {"layers": None},
        {"layers": [descriptor(LAYER, b"x")] * (MAX_LAYERS + 1)},
        {"config": None},
        {"annotations": {"containerd.io/x": ""}},
        {"fsLayers": [1]},
    ],
)
def test_what_a_manifest_may_not_have(change):
    with pytest.raises(BadInput):
        parse(SOUND | change)


@given(st.sampled_from(("config", "layers", "mediaType", "schemaVersion", "annotations")), JSON)
def test_any_value_anywhere_is_read_or_refused(name, value):
    for read, tree in ((parse, SOUND), (lambda tree: parse_config(json.dumps(tree).encode()), {})):
        try:
            read(tree | {name: value})
        except BadInput:
            continue


@given(st.sampled_from(("mediaType", "digest", "size", "urls", "annotations", "data")), JSON)
def test_any_value_in_a_descriptor_is_read_or_refused(name, value):
    try:
        found = parse(SOUND | {"layers": [SOUND["layers"][0] | {name: value}]})
    except BadInput:
        return
    assert found.layers[0].media_type == LAYER
    assert type(found.layers[0].size) is int


def test_a_configuration():
    run = {"User": "5", "Entrypoint": ["/a"], "Cmd": None, "Volumes": {"/data": {}}, "Env": ["A=1"]}
    tree = {
        "os": "linux",
        "architecture": "amd64",
        "config": run,
        "rootfs": {"diff_ids": ["sha256:" + "a" * 64]},
    }
    found = parse_config(json.dumps(tree).encode())
    assert (found.user, found.entrypoint, found.cmd, found.volumes) == ("5", ("/a",), (), ("/data",))
    assert found.layer_count == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"config": {"user": "0"}}',
        '{"config": {"User": "5", "USER": "0"}}',
        '{"Config": {}}',
        '{"config": {"User": 5}}',
        '{"config": {"Entrypoint": "/app"}}',
        '{"config": {"Cmd": [1]}}',
        '{"config": []}',
        '{"rootfs": {"diff_ids": ["x"]}}',
        '{"rootfs": {"DIFF_IDS": []}}',
    ],
)
def test_configurations_that_a_node_reads_otherwise(text):
    with pytest.raises(BadInput):
        parse_config(text.encode())
