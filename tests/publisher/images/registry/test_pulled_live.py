# SPDX-License-Identifier: Apache-2.0
"""A real distribution registry, to which skopeo pushed: what it serves is read as the archive would be."""

import os

import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from tests.live.clients.registry import distribution_registry, push
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import parse_reference
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.registry.pulled import pull

pytestmark = pytest.mark.live


@pytest.fixture
def host(tmp_path, free_tcp_port):
    """Host and port of a registry process of the test's own."""
    with distribution_registry(tmp_path, free_tcp_port) as served:
        yield served


def test_an_image_that_skopeo_pushed_is_pulled_and_gone_on_with(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    files = ImageFiles(layers=(os.urandom(3 << 20), b"small"))
    files.write_directory(tmp_path / "tree")
    push(f"oci:{tmp_path / 'tree'}", f"{host}/team/app:1.2")
    folder = tmp_path / "cache" / "pulled"
    folder.mkdir(parents=True)
    (folder / f"{digest(files.layers[0])[7:]}.part").write_bytes(files.layers[0][: 1 << 20])
    name = parse_reference(f"{host}/team/app:1.2")
    image = pull(name, tmp_path / "cache", ImageOpening())
    assert image.digest == digest(files.manifest)
    for blob in image.blobs:
        blob.verify()
    assert pull(name.pinned(image.digest), tmp_path / "cache", ImageOpening()).digest == image.digest
    for absent in (f"{host}/team/app:2", f"{host}/team/other:1"):
        with pytest.raises(BadInput, match="no such image"):
            pull(parse_reference(absent), tmp_path / "cache", ImageOpening())
    log = (tmp_path / "registry.log").read_text()
    partial = [line for line in log.splitlines() if '"GET /v2/' in line and " 206 " in line]
    assert len(partial) == 1
