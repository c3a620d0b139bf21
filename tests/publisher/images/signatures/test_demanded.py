# SPDX-License-Identifier: Apache-2.0
"""An image is let in only where one of the demanded keys signed its digest, wherever that lies."""

import dataclasses
import json
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import INDEX, MANIFEST, ImageFiles, descriptor
from tests.fakes.images.registry import FakeRegistry, serving
from tests.fakes.images.signed import KeySigner, as_referrer, document, in_layout, under_tag
from trustedpods.protocol.attestation.policy.signers import ANY, ImageSigner
from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.protocol.images.signatures import SIGNATURE, SIMPLE_SIGNING, parse_signer_key
from trustedpods.publisher.images.oci import SourcedImage
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.signatures.demanded import check_signers
from trustedpods.publisher.images.signatures.found import MAX_BLOBS, MAX_READ
from trustedpods.publisher.images.source import open_image


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with serving(FakeRegistry(asks_for="bearer")) as served:
        yield served


@pytest.fixture
def key():
    return KeySigner()


def demanded(*keys, images=(ANY,)):
    return ImageSigner("release team", images, tuple(parse_signer_key(key.pem) for key in keys))


def judged(source, folder, *signers, **opening):
    image = open_image(source, folder, folder / "cache", ImageOpening(**opening))
    return list(check_signers([SourcedImage(image, source, folder, "pod.yaml:7")], signers))


def refusal(source, folder, *signers):
    with pytest.raises(Refused) as caught:
        judged(source, folder, *signers)
    assert (caught.value.rule, caught.value.where) == ("image-signer", "pod.yaml:7")
    assert caught.value.hint
    return caught.value.what


PLACES = {
    "tag": lambda registry, digest, key: under_tag(registry, digest, key.simple_layer(digest)),
    "referrer": lambda registry, digest, key: as_referrer(
        registry, digest, key.bundle_layer(digest), served=True
    ),
    "tag of referrers": lambda registry, digest, key: as_referrer(
        registry, digest, key.bundle_layer(digest), served=False
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_signature_is_found_where_cosign_puts_it(registry, tmp_path, key, place):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    assert "it has no signature, and needs one of release team" in refusal(source, tmp_path, demanded(key))
    PLACES[place](registry, digest, key)
    assert judged(source, tmp_path, demanded(key)) == [f"{source} is signed by release team"]
    assert "it is signed, but not by release team" in refusal(source, tmp_path, demanded(KeySigner()))


def test_nobody_is_asked_where_no_signer_is_demanded(registry, tmp_path):
    registry.put(ImageFiles())
    source = f"{registry.host}/team/app:1"
    open_image(source, tmp_path, tmp_path / "cache")
    asked = len(registry.seen)
    image = open_image(source, tmp_path, tmp_path / "cache", ImageOpening(offline=True))
    assert list(check_signers([SourcedImage(image, source, tmp_path)], ())) == []
    assert len(registry.seen) == asked


def test_the_signature_of_an_index_counts_also_for_what_was_pinned_from_it(registry, tmp_path, key):
    wanted = registry.put(ImageFiles(), "2")
    blob = registry.blobs[wanted]
    platform = {"os": "linux", "architecture": "amd64"}
    index = registry.index([descriptor(MANIFEST, blob, platform=platform)])
    under_tag(registry, index, key.simple_layer(index))
    source = f"{registry.host}/team/app"
    assert judged(f"{source}:1", tmp_path, demanded(key))
    assert judged(f"{source}@{wanted}", tmp_path, demanded(key))
    elsewhere = tmp_path / "elsewhere"
    assert "no signature" in refusal(f"{source}@{wanted}", elsewhere, demanded(key))


def test_the_signature_of_another_image_says_nothing_of_this_one(registry, tmp_path, key):
    other, digest = f"sha256:{'ab' * 32}", registry.put(ImageFiles())
    under_tag(registry, digest, key.simple_layer(other))
    source = f"{registry.host}/team/app:1"
    assert "it has no signature" in refusal(source, tmp_path, demanded(key))


def test_what_is_damaged_or_too_much_is_passed_over(registry, tmp_path, key):
    digest = registry.put(ImageFiles())
    good, payload = key.simple_layer(digest)
    bad = [
        good | {"annotations": {SIGNATURE: "no base64"}},
        good | {"annotations": None},
        good | {"size": 1 << 30},
        good | {"digest": "sha256:short"},
        descriptor(SIMPLE_SIGNING, b"[]", annotations={SIGNATURE: "AA=="}),
    ]
    registry.blobs[descriptor(SIMPLE_SIGNING, b"[]")["digest"]] = b"[]"
    registry.blobs[good["digest"]] = payload
    tag = f"{digest.replace(':', '-')}.sig"
    registry.document(document(*bad), MANIFEST, tag)
    source = f"{registry.host}/team/app:1"
    assert "it has no signature" in refusal(source, tmp_path, demanded(key))
    registry.document(document(*bad, good), MANIFEST, tag)
    assert judged(source, tmp_path, demanded(key))
    registry.document(json.dumps({"layers": 7}).encode(), MANIFEST, tag)
    assert "it has no signature" in refusal(source, tmp_path, demanded(key))


@pytest.mark.parametrize("form", ["oci-archive", "oci"])
def test_a_layout_that_cosign_saved_has_its_signature_with_it(tmp_path, key, form):
    files = ImageFiles()
    write = files.write_archive if form == "oci-archive" else files.write_directory
    write(tmp_path / "unsigned")
    assert "it has no signature" in refusal(f"{form}:unsigned", tmp_path, demanded(key))
    digest = descriptor(MANIFEST, files.manifest)["digest"]
    in_layout(files, key.simple_layer(digest))
    write(tmp_path / "signed")
    assert judged(f"{form}:signed", tmp_path, demanded(KeySigner()), demanded(key))


def test_each_image_needs_a_signer_that_is_for_it(registry, tmp_path, key):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    under_tag(registry, digest, key.simple_layer(digest))
    for named in (f"{registry.host}/team/app", f"{registry.host}/team/*"):
        assert judged(source, tmp_path, demanded(key, images=(named,)))
    for named in (f"{registry.host}/team", f"{registry.host}/tea/*", f"{registry.host}/team/app/*"):
        assert "names nobody who signs it" in refusal(source, tmp_path, demanded(key, images=(named,)))
    ImageFiles().write_archive(tmp_path / "here.tar")
    signer = dataclasses.replace(demanded(key), images=(f"{registry.host}/team/*",))
    assert "names nobody who signs it" in refusal("oci-archive:here.tar", Path(tmp_path), signer)


@pytest.mark.parametrize("answer", [400, 405, 406, 501, "a page"])
def test_a_registry_that_is_older_than_referrers_has_them_under_a_tag(registry, tmp_path, key, answer):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    PLACES["tag of referrers"](registry, digest, key)
    registry.no_referrers = answer if isinstance(answer, int) else 200
    assert judged(source, tmp_path, demanded(key))


def test_a_registry_that_fails_lets_no_image_in(registry, tmp_path, key):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    PLACES["tag of referrers"](registry, digest, key)
    registry.no_referrers = 418
    with pytest.raises(NetworkFailure, match="answered 418"):
        judged(source, tmp_path, demanded(key))


def test_a_referrer_that_is_something_else_hides_no_signature(registry, tmp_path, key):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    PLACES["referrer"](registry, digest, key)
    other = b'{"mediaType": "text/plain"}'
    registry.document(other, "text/plain", "other")
    index = json.loads(registry.referrers[digest])
    index["manifests"].insert(0, descriptor(MANIFEST, other))
    registry.referrers[digest] = json.dumps(index).encode()
    assert judged(source, tmp_path, demanded(key))


def test_of_a_flood_of_signatures_only_some_are_fetched(registry, tmp_path, key):
    digest, source = registry.put(ImageFiles()), f"{registry.host}/team/app:1"
    named, data = key.simple_layer(f"sha256:{'ab' * 32}")
    registry.blobs[named["digest"]] = data
    flood = document(*[named] * MAX_READ)
    registry.document(flood, MANIFEST, "flood")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(MANIFEST, flood)] * 4}
    registry.referrers[digest] = json.dumps(index).encode()
    assert "it has no signature" in refusal(source, tmp_path, demanded(key))
    asked = [one for one in registry.blob_requests() if named["digest"] in one.path]
    assert len(asked) == MAX_BLOBS


def test_of_one_name_with_two_images_both_need_a_signature(registry, tmp_path, key):
    source = f"{registry.host}/team/app:1"
    pulled = []
    for content in (b"unsigned", b"signed"):
        digest = registry.put(ImageFiles(layers=(content,)))
        image = open_image(source, tmp_path, tmp_path / "cache")
        pulled.append(SourcedImage(image, source, tmp_path, "pod.yaml:7"))
    under_tag(registry, digest, key.simple_layer(digest))
    with pytest.raises(Refused, match="no signature"):
        list(check_signers(pulled, [demanded(key)]))
