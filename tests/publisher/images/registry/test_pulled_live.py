# SPDX-License-Identifier: Apache-2.0
"""A real distribution registry, to which skopeo pushed: what it serves is read as the archive would be."""

import json
import os
import subprocess
import time

import httpx
import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import parse_reference
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.registry.pulled import pull

pytestmark = pytest.mark.live

STARTS_S = 60
"""For the registry's process on a busy machine."""


@pytest.fixture
def host(tmp_path, free_tcp_port):
    """Host and port of a registry process of the test's own."""
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
        "http": {"addr": f"127.0.0.1:{free_tcp_port}"},
    }
    file = tmp_path / "registry.yml"
    file.write_text(json.dumps(config))
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", file], stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{free_tcp_port}/v2/")
        yield f"127.0.0.1:{free_tcp_port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(url):
    until = time.monotonic() + STARTS_S
    while True:
        try:
            httpx.get(url)
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


def push(folder, name, files):
    files.write_directory(folder / "tree")
    copy = ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", "--dest-compress=false"]
    source, target = f"oci:{folder / 'tree'}", f"docker://{name}"
    subprocess.run(["skopeo", *copy, "--preserve-digests", source, target], check=True, timeout=120)


def test_an_image_that_skopeo_pushed_is_pulled_and_gone_on_with(host, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    files = ImageFiles(layers=(os.urandom(3 << 20), b"small"))
    push(tmp_path, f"{host}/team/app:1.2", files)
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
    partial = [
        line
        for line in (tmp_path / "log").read_text().splitlines()
        if '"GET /v2/' in line and " 206 " in line
    ]
    assert len(partial) == 1
