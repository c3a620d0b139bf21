# SPDX-License-Identifier: Apache-2.0
"""Images of a test's own: an example's with one more layer, not compressed, so that content shows."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.fakes.images.oci_images import LAYER, MANIFEST, descriptor, digest
from trustedpods.localnet.cluster import binaries

_BLOBS = "blobs/sha256/"


class _Archive:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def blob(self, found: str) -> bytes:
        return self.files[_BLOBS + found.removeprefix("sha256:")]

    def add(self, media_type: str, data: bytes) -> dict[str, Any]:
        self.files[_BLOBS + digest(data).removeprefix("sha256:")] = data
        return descriptor(media_type, data)


def plain_layer(entries: Mapping[str, bytes]) -> bytes:
    """A layer with these files, readable by everybody; a path that ends in `/` is a folder for everybody."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in entries.items():
            item = tarfile.TarInfo(path)
            item.size, item.mode = len(data), 0o644
            if path.endswith("/"):
                item.type, item.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(item, io.BytesIO(data))
    return packed.getvalue()


def with_layer(
    example: str, entries: Mapping[str, bytes], target: Path, *, packed: bool = False, **settings: Any
) -> int:
    """Write the example's image with one more layer to *target*; bytes of the new layer, unpacked.

    All layers are plain, or *packed*. *settings* go into its configuration, by their names there.
    """
    archive = _read(binaries.image(example))
    index = json.loads(archive.files["index.json"])
    manifest = json.loads(archive.blob(index["manifests"][0]["digest"]))
    config = json.loads(archive.blob(manifest["config"]["digest"]))
    layers = [gzip.decompress(archive.blob(layer["digest"])) for layer in manifest["layers"]]
    layers.append(plain_layer(entries))
    config["config"] |= settings
    config["rootfs"]["diff_ids"] = [digest(layer) for layer in layers]
    made = _Archive({"oci-layout": archive.files["oci-layout"]})
    kind = LAYER + "+gzip" if packed else LAYER
    blobs = [gzip.compress(layer) if packed else layer for layer in layers]
    manifest["layers"] = [made.add(kind, blob) for blob in blobs]
    manifest["config"] = made.add(manifest["config"]["mediaType"], json.dumps(config).encode())
    named = made.add(MANIFEST, json.dumps(manifest).encode())
    made.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
    target.write_bytes(plain_layer(made.files))
    return len(layers[-1])


def _read(path: Path) -> _Archive:
    with tarfile.open(path) as tar:
        members = [member for member in tar if member.isfile()]
        contents = [tar.extractfile(member) for member in members]
        return _Archive({m.name: c.read() for m, c in zip(members, contents, strict=True) if c is not None})
