# SPDX-License-Identifier: Apache-2.0
"""Images are read where they lie, and only when they are what they say."""

import json
import shutil
import subprocess
import tarfile

import pytest

from tests.fakes.images.oci_images import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    ImageFiles,
    descriptor,
    digest,
    layer_of,
)
from trustedpods.protocol import limits
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.layout import Extent
from trustedpods.publisher.images.oci import Blob
from trustedpods.publisher.images.source import open_image


def archive(tmp_path, files: ImageFiles, name="a.tar"):
    return open_image(
        f"oci-archive:{files.write_archive(tmp_path / name).name}", tmp_path, tmp_path / "cache"
    )


def test_the_same_image_from_archive_and_folder(tmp_path):
    files = ImageFiles(layers=(b"one" * 1000, b"two"))
    files.write_directory(tmp_path / "dir")
    first = archive(tmp_path, files)
    second = open_image("oci:dir", tmp_path, tmp_path)
    assert [b.digest for b in first.blobs] == [b.digest for b in second.blobs]
    assert first.digest == digest(files.manifest)
    assert first.blobs[1].digest == digest(files.config)
    layer = first.blobs[2]
    assert layer.read(512 + 3, 6) == b"oneone"
    assert layer.read(512 + 2999, 1) == b"e"
    assert [b.media_type for b in first.blobs] == [MANIFEST, CONFIG, LAYER, LAYER]
    for blob in (*first.blobs, *second.blobs):
        blob.verify()


def test_verify_reports_progress_and_finds_damage(tmp_path):
    files = ImageFiles(layers=(b"good",))
    files.files["blobs/sha256/" + digest(files.layers[0])[7:]] = layer_of(b"evil")
    layer = archive(tmp_path, files).blobs[2]
    seen: list[bytes] = []
    with pytest.raises(BadInput, match="damaged"):
        layer.verify(seen.append)
    assert b"".join(seen) == layer_of(b"evil")


def test_a_file_that_changes_after_it_was_verified_is_not_sealed(tmp_path):
    files = ImageFiles(layers=(b"a" * limits.BLOB_CHUNK,))
    whole = files.layers[0]
    verified = archive(tmp_path, files).blobs[2].verify()
    assert verified.read_chunk(0) + verified.read_chunk(1) == whole
    files.files["blobs/sha256/" + digest(whole)[7:]] = whole[: limits.BLOB_CHUNK] + b"c" * (
        len(whole) - limits.BLOB_CHUNK
    )
    files.write_archive(tmp_path / "a.tar")
    assert verified.read_chunk(0) == whole[: limits.BLOB_CHUNK]
    with pytest.raises(BadInput, match="changed while"):
        verified.read_chunk(1)


def test_an_empty_blob_is_one_empty_chunk(tmp_path):
    (tmp_path / "empty").touch()
    empty = Blob(digest(b""), 0, LAYER, Extent(tmp_path / "empty", 0, 0))
    assert empty.verify().read_chunk(0) == b""


def test_a_layer_used_twice_is_listed_once(tmp_path):
    found = archive(tmp_path, ImageFiles(layers=(b"x", b"x")))
    assert (len(found.blobs), len(found.layers)) == (3, 2)


def test_chooses_our_platform_from_an_index(tmp_path):
    files = ImageFiles()
    ours = descriptor(MANIFEST, files.manifest, platform={"os": "linux", "architecture": "amd64"})
    other = {**descriptor(MANIFEST, b"absent"), "platform": {"os": "linux", "architecture": "arm64"}}
    nested = files.blob(json.dumps({"schemaVersion": 2, "manifests": [other, ours]}).encode())
    files.set_index([descriptor(INDEX, nested)])
    assert archive(tmp_path, files).digest == digest(files.manifest)


def test_another_platform_is_refused(tmp_path):
    with pytest.raises(BadInput, match="there is: linux/arm64"):
        archive(tmp_path, ImageFiles(arch="arm64"))


def test_a_tag_chooses(tmp_path):
    files = ImageFiles()
    tag = {"org.opencontainers.image.ref.name": "v2"}
    files.set_index([descriptor(MANIFEST, b"absent"), descriptor(MANIFEST, files.manifest, annotations=tag)])
    files.write_archive(tmp_path / "a.tar")
    assert open_image("oci-archive:a.tar:v2", tmp_path, tmp_path).digest == digest(files.manifest)
    with pytest.raises(BadInput, match="there is: v2"):
        open_image("oci-archive:a.tar:v3", tmp_path, tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        "sha256:../../etc/passwd",
        "sha256:" + "A" * 64,
        "sha512:" + "a" * 128,
        "sha256:" + "a" * 64 + "\n",
        None,
        5,
    ],
)
def test_path_tricks_in_digests(tmp_path, bad):
    files = ImageFiles()
    files.set_index([{"mediaType": MANIFEST, "digest": bad, "size": 5}])
    with pytest.raises(BadInput, match="not a sha256 digest"):
        archive(tmp_path, files)


def test_a_link_out_of_the_folder(tmp_path):
    files = ImageFiles(layers=(b"secret",))
    files.write_directory(tmp_path / "dir")
    (tmp_path / "outside").write_bytes(files.layers[0])
    blob = tmp_path / "dir" / "blobs" / "sha256" / digest(files.layers[0])[7:]
    blob.unlink()
    blob.symlink_to(tmp_path / "outside")
    with pytest.raises(BadInput, match="out of the folder"):
        open_image("oci:dir", tmp_path, tmp_path)


def test_links_in_an_archive_are_not_followed(tmp_path):
    files = ImageFiles(layers=(b"layer",))
    name = "blobs/sha256/" + digest(files.layers[0])[7:]
    del files.files[name]
    path = files.write_archive(tmp_path / "a.tar")
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    with pytest.raises(BadInput, match="is not in it"):
        open_image("oci-archive:a.tar", tmp_path, tmp_path)


def test_damage_is_named(tmp_path):
    cases = {
        "not an OCI image layout": lambda f: f.files.pop("oci-layout"),
        "no index.json": lambda f: f.files.pop("index.json"),
        "not JSON": lambda f: f.files.update({"index.json": b"{"}),
        "not a JSON object": lambda f: f.files.update({"index.json": b"[]"}),
        "not a list": lambda f: f.files.update({"index.json": b'{"manifests": {}}'}),
        "manifests; the bound": lambda f: f.set_index([{}] * 600),
        "bytes, not": lambda f: f.set_index([descriptor(MANIFEST, f.manifest) | {"size": 1}]),
        "no images": lambda f: f.set_index([descriptor("text/html", f.manifest)]),
        "lacks a part": lambda f: f.set_index([descriptor(MANIFEST, b"absent")]),
        "is missing": lambda f: f.set_manifest({"schemaVersion": 2, "layers": []}),
        "do not fit": lambda f: f.set_manifest(
            {"schemaVersion": 2, "config": descriptor(CONFIG, f.config), "layers": []}
        ),
        "JSON document of": lambda f: f.files.update({"index.json": b" " * (5 << 20)}),
    }
    for number, (message, damage) in enumerate(cases.items()):
        files = ImageFiles()
        damage(files)
        with pytest.raises(BadInput, match=message) as caught:
            archive(tmp_path, files, f"{number}.tar")
        assert caught.value.where == str(tmp_path / f"{number}.tar")


def test_wide_indexes_end(tmp_path):
    """Each image of each index would be asked of a registry."""
    files = ImageFiles()
    others = [descriptor(MANIFEST, b"absent")] * 300
    nested = [
        descriptor(INDEX, files.blob(json.dumps({"manifests": others, "n": number}).encode()))
        for number in range(2)
    ]
    files.set_index(nested)
    with pytest.raises(BadInput, match="more than 512 images in all"):
        archive(tmp_path, files)


def test_deep_indexes_end(tmp_path):
    files = ImageFiles()
    entry = descriptor(MANIFEST, files.manifest)
    for _ in range(5):
        entry = descriptor(INDEX, files.blob(json.dumps({"manifests": [entry]}).encode()))
    files.set_index([entry])
    with pytest.raises(BadInput, match="nested deeper"):
        archive(tmp_path, files)


@pytest.mark.parametrize("data", [b"", b"\x1f\x8b" + b"x" * 100, b"text" * 1000])
def test_what_is_not_an_archive(tmp_path, data):
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(BadInput):
        open_image("oci-archive:a.tar", tmp_path, tmp_path)


@pytest.mark.parametrize(
    "reference", ["Nginx", "nginx.tar", "./app", "nginx.yaml", "docker-daemon:", "oci:", "oci-archive:no"]
)
def test_what_is_not_on_this_disk(tmp_path, reference):
    with pytest.raises(BadInput):
        open_image(reference, tmp_path, tmp_path)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="needs skopeo")
def test_docker_archive_is_converted_once(tmp_path):
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        tar.addfile(tarfile.TarInfo("hello"))
    ImageFiles(layers=(layer.read_bytes(),), user="5").write_archive(tmp_path / "a.tar")
    target = f"docker-archive:{tmp_path}/d.tar:name:v1"
    subprocess.run(
        ["skopeo", "--insecure-policy", "copy", "-q", f"oci-archive:{tmp_path}/a.tar", target], check=True
    )
    image = open_image("docker-archive:d.tar", tmp_path, tmp_path / "cache")
    assert image.user == "5"
    for blob in image.blobs:
        blob.verify()
    made = list((tmp_path / "cache" / "converted").iterdir())
    assert len(made) == 1
    assert open_image("docker-archive:d.tar", tmp_path, tmp_path / "cache").digest == image.digest
    assert list((tmp_path / "cache" / "converted").iterdir()) == made
