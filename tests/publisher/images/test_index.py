# SPDX-License-Identifier: Apache-2.0
"""What stands beside an image in an index is passed over, whatever it is, as long as one image is left."""

import pytest

from tests.fakes.images.image_parts import DOCKER_LAYER, EMPTY, REF, Parts, zstd
from tests.fakes.images.oci_images import CONFIG, INDEX, LAYER, MANIFEST
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.strict_json import MAX_JSON
from trustedpods.publisher.images.source import open_image

COSIGN = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def about(parts, config=EMPTY, layer=COSIGN, text=b"{}", **fields):
    """A manifest of something about an image."""
    layers = [parts.add(layer, b"about it")] if layer else []
    tree = {"schemaVersion": 2, "config": parts.add(config, text), "layers": layers}
    return parts.document(MANIFEST, tree | fields)


def elsewhere(parts, **traits):
    """An image for another machine, of which the index does not say so."""
    return parts.image("elsewhere", **({"config": {"architecture": "arm64"}} | traits))


def in_an_index(parts, *entries, **fields):
    return parts.document(INDEX, {"schemaVersion": 2, "manifests": list(entries), **fields})


def on(parts, system, processor, **more):
    return parts.image("elsewhere", platform={"os": system, "architecture": processor, **more})


NO_IMAGE = {
    "an unknown type": lambda parts: parts.add("a/b", b"x"),
    "no type": lambda parts: {"digest": "sha256:" + "0" * 64, "size": 3},
    "a type that is no text": lambda parts: {"mediaType": 7, "digest": "sha256:" + "0" * 64, "size": 3},
    "a type that is a list": lambda parts: {"mediaType": [], "digest": "sha256:" + "0" * 64, "size": 3},
    "a configuration whose type is a list": lambda parts: parts.document(
        MANIFEST, {"schemaVersion": 2, "config": {"mediaType": []}, "layers": []}
    ),
    "Docker's first schema": lambda parts: parts.add(
        "application/vnd.docker.distribution.manifest.v1+prettyjws", b"{}"
    ),
    "OCI's own artifacts of 1.1-rc": lambda parts: parts.add(
        "application/vnd.oci.artifact.manifest.v1+json", b"{}"
    ),
    "cosign's signature": lambda parts: about(parts, CONFIG),
    "a signature without layers": lambda parts: about(parts, CONFIG, layer=None),
    "a signature that refers": lambda parts: about(parts, subject=parts.add(MANIFEST, b"{}")),
    "a bundle of sigstore": lambda parts: about(parts, layer=BUNDLE, artifactType=BUNDLE),
    "an artifact without anything": lambda parts: parts.document(
        MANIFEST, {"schemaVersion": 2, "artifactType": "a/b"}
    ),
    "an SBOM": lambda parts: about(parts, layer="application/spdx+json"),
    "a chart": lambda parts: about(parts, "application/vnd.cncf.helm.config.v1+json", "application/tar+gzip"),
    "a WebAssembly component": lambda parts: about(
        parts, "application/vnd.wasm.config.v0+json", "application/wasm"
    ),
    "an artifact by its descriptor": lambda parts: about(parts) | {"artifactType": BUNDLE},
    "an artifact of another digest": lambda parts: {
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "digest": "sha512:" + "0" * 128,
        "size": 5,
    },
    "a large artifact": lambda parts: {
        "mediaType": MANIFEST,
        "artifactType": BUNDLE,
        "digest": "sha256:" + "0" * 64,
        "size": MAX_JSON + 1,
    },
    "an index of artifacts": lambda parts: in_an_index(parts, parts.image("part"), artifactType=BUNDLE),
    "an index of nothing": in_an_index,
    "BuildKit's provenance": lambda parts: (
        about(parts, CONFIG, "application/vnd.in-toto+json")
        | {"platform": {"os": "unknown", "architecture": "unknown"}}
    ),
    "provenance by its annotation": lambda parts: (
        parts.image("about") | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    ),
    "another platform": lambda parts: on(parts, "linux", "arm64"),
    "another system": lambda parts: on(parts, "freebsd", "amd64"),
    "what needs a feature": lambda parts: on(
        parts, "linux", "amd64", **{"os.features": ["nydus.remoteimage.v1"]}
    ),
    "another platform, unsaid": elsewhere,
    "another system, unsaid": lambda parts: elsewhere(parts, config={"os": "windows"}),
    "Windows with layers of elsewhere": lambda parts: elsewhere(
        parts, config={"os": "windows"}, kinds=(FOREIGN,), layer={"urls": ["https://example.org/x"]}
    ),
    "another platform with layers that nobody can use here": lambda parts: elsewhere(
        parts, docker=True, pack=zstd, kinds=(DOCKER_LAYER + ".zstd",)
    ),
    "another platform, with orders for nodes": lambda parts: elsewhere(
        parts, layer={"annotations": {"containerd.io/snapshot.ref": "x"}}, kinds=(LAYER + "+gzip",)
    ),
    "another platform, with fields of its own": lambda parts: elsewhere(
        parts, manifest={"subject": parts.add(MANIFEST, b"{}")}, run={"User": 5, "Cmd": "x"}
    ),
}
"""By what it is: a descriptor of something that is no image for these nodes, with its blobs in *parts*."""

PLACES = {
    "first": lambda parts, other, ours: (other, ours),
    "last": lambda parts, other, ours: (ours, other),
    "around": lambda parts, other, ours: (other, ours, other),
    "in one index": lambda parts, other, ours: (in_an_index(parts, other, ours),),
    "ours in an index": lambda parts, other, ours: (other, in_an_index(parts, ours)),
    "in an index of its own": lambda parts, other, ours: (in_an_index(parts, other), ours),
}


def read(folder, archive, name=""):
    (folder / "a.tar").write_bytes(archive)
    return open_image(f"oci-archive:a.tar{name}", folder, folder / "cache")


@pytest.mark.parametrize("other", NO_IMAGE)
def test_the_image_is_read_whatever_stands_beside_it(tmp_path, other):
    for place, stand in PLACES.items():
        parts = Parts()
        beside, ours = NO_IMAGE[other](parts), parts.image("ours")
        found = read(tmp_path, parts.archive(*stand(parts, beside, ours)))
        assert found.config.env == ("WHICH=ours",), place


@pytest.mark.parametrize("other", NO_IMAGE)
def test_alone_it_is_refused_as_no_image(tmp_path, other):
    parts = Parts()
    with pytest.raises(BadInput, match="no image for linux/amd64; there is: "):
        read(tmp_path, parts.archive(NO_IMAGE[other](parts)))


def test_all_of_them_beside_one(tmp_path):
    parts = Parts()
    others = [make(parts) for make in NO_IMAGE.values()]
    found = read(tmp_path, parts.archive(*others, parts.image("ours"), *others))
    assert found.config.env == ("WHICH=ours",)


def test_an_image_that_cannot_be_used_is_one_all_the_same(tmp_path):
    """Nothing is guessed; by its name the other is read."""
    parts = Parts()
    bad = parts.image("bad", layer={"urls": ["https://example.org/x"]}, annotations={REF: "bad"})
    archive = parts.archive(bad, parts.image("good", annotations={REF: "good"}))
    with pytest.raises(BadInput, match="there is: bad, good"):
        read(tmp_path, archive)
    assert read(tmp_path, archive, ":good").config.env == ("WHICH=good",)
    with pytest.raises(BadInput, match="'urls'"):
        read(tmp_path, archive, ":bad")


def test_an_image_among_referrers_is_one(tmp_path):
    """There its type is that of its configuration."""
    parts = Parts()
    found = read(tmp_path, parts.archive(parts.image("ours") | {"artifactType": CONFIG}))
    assert found.config.env == ("WHICH=ours",)
