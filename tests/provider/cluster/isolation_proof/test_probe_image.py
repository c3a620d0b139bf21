# SPDX-License-Identifier: Apache-2.0
"""The probe's image: every blob under its digest, and no program that could not run in it."""

import hashlib
import io
import json
import tarfile

import pytest

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.isolation_proof.probe_image import probe_image

STATIC = b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little") + b"code" * 4000


def test_every_blob_is_named_by_its_digest():
    image = probe_image(STATIC)
    for digest, blob in image.blobs.items():
        assert digest == "sha256:" + hashlib.sha256(blob).hexdigest()
    manifest = json.loads(image.manifest)
    config = json.loads(image.blobs[manifest["config"]["digest"]])
    layer = image.blobs[manifest["layers"][0]["digest"]]
    assert config["architecture"] == "amd64"
    assert config["config"]["Volumes"] == {"/data": {}}
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        assert tar.getnames() == ["busybox", "tmp", "data"]
        assert tar.getmember("busybox").mode == 0o755


@pytest.mark.parametrize("program", [b"", b"#!/bin/sh\n", STATIC[:64] + b"/lib64/ld-linux-x86-64.so.2"])
def test_what_would_not_run_is_refused(program):
    with pytest.raises(NoContext, match="not a static program"):
        probe_image(program)
