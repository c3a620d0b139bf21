# SPDX-License-Identifier: Apache-2.0
"""An image of a registry is fetched once, goes on where it stopped, and is what its digest says."""

import json
import os
import threading
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import MANIFEST, ImageFiles, descriptor, digest
from tests.fakes.images.registry import FakeRegistry, serving
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.images.references import parse_reference
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.registry.pulled import pull


@pytest.fixture
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with serving(FakeRegistry()) as served:
        yield served


class ImageTold:
    def __init__(self):
        self.lines, self.bars = [], []

    def line(self, text):
        self.lines.append(text)

    def progress(self, name, done, total):
        self.bars.append((name, done, total))


def pulled(registry, folder, asked=":1", **opening):
    return pull(
        parse_reference(f"{registry.host}/team/app{asked}"), folder / "cache", ImageOpening(**opening)
    )


def parts(folder):
    return list((folder / "cache" / "pulled").glob("*.part"))


def test_a_tag_becomes_the_digest_of_the_image_for_this_platform(registry, tmp_path):
    files, other = ImageFiles(), ImageFiles(arch="arm64")
    registry.put(other)
    wanted = registry.put(files)
    registry.index(
        [
            descriptor(MANIFEST, other.manifest, platform={"os": "linux", "architecture": "arm64"}),
            descriptor(MANIFEST, files.manifest, platform={"os": "linux", "architecture": "amd64"}),
        ]
    )
    told = ImageTold()
    image = pulled(registry, tmp_path, told=told)
    assert image.digest == wanted
    assert told.lines == [f"{registry.host}/team/app:1 is {registry.host}/team/app@{wanted}"]
    assert all(done <= total for _, done, total in told.bars)
    assert not [one for one in registry.seen if digest(other.config) in one.path]
    for blob in image.blobs:
        blob.verify()


def test_what_is_here_is_not_fetched_again(registry, tmp_path):
    registry.put(ImageFiles(layers=(b"one", b"two")))
    pulled(registry, tmp_path)
    first = len(registry.blob_requests())
    registry.put(ImageFiles(layers=(b"one", b"three")), "2")
    pulled(registry, tmp_path)
    assert len(registry.blob_requests()) == first == 3
    pulled(registry, tmp_path, ":2")
    assert len(registry.blob_requests()) == first + 2


def test_a_digest_that_is_here_asks_nobody_and_a_tag_does_so_offline(registry, tmp_path):
    wanted = registry.put(ImageFiles())
    with pytest.raises(BadInput, match="nobody may be asked") as caught:
        pulled(registry, tmp_path, offline=True)
    assert registry.host in caught.value.what
    assert not registry.seen
    pulled(registry, tmp_path)
    pulled(registry, tmp_path, f"@{wanted}")
    asked = len(registry.seen)
    assert pulled(registry, tmp_path, f"@{wanted}").digest == wanted
    assert pulled(registry, tmp_path, offline=True).digest == wanted
    assert len(registry.seen) == asked


def test_what_a_tag_meant_is_found_by_its_digest_without_asking_unless_a_part_is_gone(registry, tmp_path):
    """A rollback or a release after a reboot opens it so, whatever became of the tag."""
    registry.index([json_descriptor(registry.put(ImageFiles(), "2"), registry)])
    image = pulled(registry, tmp_path)
    asked = len(registry.seen)
    assert pulled(registry, tmp_path, f"@{image.digest}").digest == image.digest
    assert len(registry.seen) == asked
    image.blobs[-1].extent.path.unlink()
    again = pulled(registry, tmp_path, f"@{image.digest}")
    again.blobs[-1].verify()
    assert len(registry.seen) > asked


def test_a_part_of_the_right_size_with_wrong_bytes_is_fetched_anew(registry, tmp_path):
    wanted = registry.put(ImageFiles(layers=(b"one", b"two")))
    image = pulled(registry, tmp_path)
    first = len(registry.blob_requests())
    for number in (0, -1):  # the manifest, and a layer
        blob = image.blobs[number]
        blob.extent.path.write_bytes(bytes(blob.size))
        with pytest.raises(BadInput, match="nobody may be asked"):
            pulled(registry, tmp_path, offline=True).blobs[number].verify()
        for one in pulled(registry, tmp_path, f"@{wanted}").blobs:
            one.verify()
    assert len(registry.blob_requests()) <= first + 2
    assert not parts(tmp_path)


def test_who_reads_a_damaged_layer_is_given_the_right_bytes_alone(registry, tmp_path):
    files = ImageFiles(layers=(b"one", b"two"))
    registry.put(files)
    layer = pulled(registry, tmp_path).blobs[-1]
    layer.extent.path.write_bytes(bytes(layer.size))
    seen: list[bytes] = []
    verified = layer.verify(seen.append)
    assert b"".join(seen) == verified.read_chunk(0) == files.layers[-1]


def test_what_a_registry_sends_wrong_once_more_is_refused(registry, tmp_path):
    registry.put(ImageFiles())
    layer = pulled(registry, tmp_path).blobs[-1]
    layer.extent.path.write_bytes(bytes(layer.size))
    registry.blobs[layer.digest] = bytes(layer.size)
    with pytest.raises(BadInput, match="is something else"):
        layer.verify()


def test_opening_what_is_here_reads_no_layer(registry, tmp_path, monkeypatch):
    wanted = registry.put(ImageFiles(layers=(b"one", b"two")))
    layers = {blob.digest.removeprefix("sha256:") for blob in pulled(registry, tmp_path).layers}
    opened, opening = [], Path.open
    low = os.open

    def heard(path, *how, **more):
        opened.append(Path(path).name)
        return low(path, *how, **more)

    def heard_path(path, *how, **more):
        opened.append(path.name)
        return opening(path, *how, **more)

    monkeypatch.setattr(os, "open", heard)
    monkeypatch.setattr(Path, "open", heard_path)
    image = pulled(registry, tmp_path, f"@{wanted}")
    assert opened
    assert not layers & set(opened)
    image.blobs[-1].verify()
    assert layers & set(opened)


def test_a_part_is_on_the_disk_before_it_has_its_name(registry, tmp_path, monkeypatch):
    """A power cut cannot be tried here: the calls are heard on their way to the kernel."""
    synced, named = [], []
    fsync, replace = os.fsync, os.replace

    def heard_fsync(descriptor):
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    def heard_replace(old, new):
        if str(old).endswith(".part"):
            named.append(os.stat(old).st_ino in synced)
        replace(old, new)

    monkeypatch.setattr(os, "fsync", heard_fsync)
    monkeypatch.setattr(os, "replace", heard_replace)
    registry.put(ImageFiles(layers=(b"one", b"two")))
    pulled(registry, tmp_path)
    assert len(named) >= 3
    assert all(named)


def json_descriptor(wanted, registry):
    return {"mediaType": registry.types[wanted], "digest": wanted, "size": len(registry.blobs[wanted])}


def test_a_digest_must_be_that_of_what_is_sent(registry, tmp_path):
    registry.put(ImageFiles())
    other = "sha256:" + "0" * 64
    registry.tags[other] = registry.tags["1"]
    with pytest.raises(BadInput, match="has the digest"):
        pulled(registry, tmp_path, f"@{other}")


@pytest.mark.parametrize("ranges", [True, False])
def test_a_blob_that_is_cut_off_goes_on(registry, tmp_path, ranges):
    registry.put(ImageFiles(layers=(bytes(300_000),)))
    registry.ranges = ranges
    registry.cut_after = [5, 100]
    pulled(registry, tmp_path)
    third = "bytes=105-" if ranges else "bytes=100-"
    assert [one.range for one in registry.blob_requests()] == [None, "bytes=5-", third, None]
    assert not parts(tmp_path)


def test_a_run_goes_on_where_an_earlier_one_ended(registry, tmp_path):
    files = ImageFiles(layers=(bytes(300_000),))
    registry.put(files)
    folder = tmp_path / "cache" / "pulled"
    folder.mkdir(parents=True)
    layer = files.layers[0]
    (folder / f"{digest(layer)[7:]}.part").write_bytes(layer[:1000])
    pulled(registry, tmp_path)
    assert [one.range for one in registry.blob_requests()] == [None, "bytes=1000-"]
    assert not parts(tmp_path)


def test_a_wrong_beginning_is_thrown_away(registry, tmp_path):
    files = ImageFiles(layers=(b"x" * 1000,))
    registry.put(files)
    folder = tmp_path / "cache" / "pulled"
    folder.mkdir(parents=True)
    (folder / f"{digest(files.layers[0])[7:]}.part").write_bytes(b"other bytes")
    pulled(registry, tmp_path)
    assert [one.range for one in registry.blob_requests()] == [None, "bytes=11-", None]


def test_another_content_is_refused_and_not_kept(registry, tmp_path):
    registry.put(ImageFiles())
    registry.change = lambda data: bytes(len(data))
    with pytest.raises(BadInput, match="something else"):
        pulled(registry, tmp_path)
    assert [one.stat().st_size for one in parts(tmp_path)] == [0]


@pytest.mark.parametrize("change", [lambda data: data + b"more", lambda data: data[:-1]])
def test_another_size_is_refused(registry, tmp_path, change):
    registry.put(ImageFiles())
    registry.change = change
    with pytest.raises(BadInput, match="bytes where"):
        pulled(registry, tmp_path)


def test_a_size_over_the_room_is_refused_before_anything_is_fetched(registry, tmp_path):
    files = ImageFiles()
    tree = json.loads(files.manifest)
    tree["layers"][0]["size"] = 2**34
    files.set_manifest(tree)
    registry.put(files)
    with pytest.raises(BadInput, match=r"no room|bytes where|free"):
        pulled(registry, tmp_path)


def test_a_document_over_its_bound_is_refused_before_it_is_fetched(registry, tmp_path):
    files = ImageFiles()
    tree = json.loads(files.manifest)
    tree["config"]["size"] = 5 * 2**20
    files.set_manifest(tree)
    registry.put(files)
    with pytest.raises(BadInput, match="the bound is"):
        pulled(registry, tmp_path)
    assert not registry.blob_requests()


def test_what_is_no_image_is_refused(registry, tmp_path):
    registry.document(b'{"schemaVersion": 1, "name": "old"}', "application/vnd.docker.x.v1+prettyjws", "1")
    with pytest.raises(BadInput, match=r"no image, but of type 'application/vnd\.docker\.x"):
        pulled(registry, tmp_path)
    registry.document(b"<html>", "text/html", "1")
    with pytest.raises(BadInput, match="not JSON"):
        pulled(registry, tmp_path)


def test_an_image_of_another_platform_alone_is_refused(registry, tmp_path):
    registry.put(ImageFiles(arch="arm64"))
    with pytest.raises(BadInput, match="no image for linux/amd64; there is: linux/arm64") as caught:
        pulled(registry, tmp_path)
    assert registry.host in caught.value.where


def test_two_runs_at_once_fetch_each_blob_once(registry, tmp_path):
    registry.put(ImageFiles(layers=tuple(bytes([one]) * 200_000 for one in range(4))))
    failed = []

    def run():
        try:
            pulled(registry, tmp_path)
        except (BadInput, NetworkFailure) as error:
            failed.append(error)

    runs = [threading.Thread(target=run) for _ in range(4)]
    for one in runs:
        one.start()
    for one in runs:
        one.join(30)
    assert not failed
    assert len(registry.blob_requests()) == 5
    assert not parts(tmp_path)


def test_a_registry_without_types_of_its_answers_is_read_by_the_documents_own(registry, tmp_path):
    wanted = registry.put(ImageFiles())
    registry.types.clear()
    assert pulled(registry, tmp_path).digest == wanted
