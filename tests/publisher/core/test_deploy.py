# SPDX-License-Identifier: Apache-2.0
"""What a deploy sends is made of the manifest and the key, and nothing else."""

from pathlib import Path

from trustedpods.manifests.parse import LoadedManifest, load, parse_received
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.messages.bundle import Bundle
from trustedpods.publisher.core.adjust import adjusted
from trustedpods.publisher.core.deploy import BlobFacts, ImageParts, admit_body, blob_ref, bundle

MANIFEST = """
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - {name: a, image: "oci:x", ports: [{containerPort: 80}], resources: {limits: {cpu: 250m, memory: 64Mi}}}
    - {name: b, image: "oci:y"}
  volumes:
    - {name: data, persistent: {size: 1Gi}}
  services:
    - {name: web, expose: http, ports: [{port: 80}], hosts: [a.localhost]}
  payment: {deposit: "2.5", maxCostPerDay: "1"}
"""
PUBLISHER = address_from_bytes(b"\x07" * 20)
BLOBS = [BlobFacts("sha256:" + "a" * 64, 10, "m"), BlobFacts("sha256:" + "b" * 64, 20, "c")]
PARTS = ImageParts([*BLOBS, BlobFacts("sha256:" + "c" * 64, 30, "l")], [("sha256:" + "c" * 64, 4096)])


def loaded(tmp_path: Path) -> LoadedManifest:
    (tmp_path / "pod.yaml").write_text(MANIFEST)
    return load(tmp_path / "pod.yaml")


def test_name_and_class_can_be_changed(tmp_path):
    manifest = loaded(tmp_path)
    assert adjusted(manifest, None, None) == manifest.manifest
    changed = adjusted(manifest, "other", "open")
    assert (changed.metadata.name, changed.spec.trust) == ("other", "open")
    assert changed.spec.containers == manifest.manifest.spec.containers


def test_the_question_before_money(tmp_path):
    body = admit_body(loaded(tmp_path).manifest, 5 * 1024 * 1024 + 1)
    assert (body.cpu_milli, body.memory_mib, body.storage_mib, body.image_mib) == (350, 192, 1024, 6)
    assert (body.services, body.hosts, body.max_replicas) == ({"web": "http"}, ["a.localhost"], 1)


def test_the_bundle_travels_and_the_provider_reads_the_same_manifest(tmp_path):
    manifest = loaded(tmp_path).manifest
    seeds = {("data", 1): {"node/key": b"k"}}
    made = bundle(manifest, {"login": {"k": b"v"}}, seeds, {"a": PARTS, "b": PARTS}, b"s" * 32, PUBLISHER)
    assert [(one.volume, one.ordinal, one.files) for one in made.seeds] == [("data", 1, {"node/key": b"k"})]
    received = decode(encode(made), Bundle)
    assert received == made
    assert parse_received(received.manifest) == manifest
    assert received.commanders == [b"\x07" * 20]
    assert received.images[0].blobs == received.images[1].blobs
    assert [(layer.digest, layer.unpacked) for layer in received.images[0].layers] == PARTS.layers


def test_blobs_of_two_publishers_have_nothing_in_common():
    one, other = blob_ref(b"1" * 32, BLOBS[0]), blob_ref(b"2" * 32, BLOBS[0])
    assert one == blob_ref(b"1" * 32, BLOBS[0])
    assert one.blob_id != other.blob_id
    assert one.key != other.key
