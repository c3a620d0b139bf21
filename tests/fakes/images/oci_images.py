# SPDX-License-Identifier: Apache-2.0
"""Small OCI images made of bytes, for tests: as a folder, or as an archive."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def descriptor(media_type: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)} | more


def layer_of(content: bytes) -> bytes:
    """A layer, not packed, with the program `/app` of this *content*."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo("app")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


class ImageFiles:
    """Files of an image layout; `files` may be damaged by a test before they are written."""

    def __init__(
        self,
        *,
        user: str = "10001",
        layers: tuple[bytes, ...] = (b"layer",),
        arch: str = "amd64",
        **run: object,
    ):
        layers = self.layers = tuple(map(layer_of, layers))
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        config = {
            "architecture": arch,
            "os": "linux",
            "config": {"User": user, "Entrypoint": ["/app"], **run},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
        self.config = self.blob(json.dumps(config).encode())
        for layer in layers:
            self.blob(layer)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, self.config),
            "layers": [descriptor(LAYER, layer) for layer in layers],
        }
        self.set_manifest(manifest)

    def blob(self, data: bytes) -> bytes:
        self.files["blobs/sha256/" + hashlib.sha256(data).hexdigest()] = data
        return data

    def set_manifest(self, tree: Any, **more: Any) -> None:
        self.manifest = self.blob(json.dumps(tree).encode())
        self.set_index([descriptor(MANIFEST, self.manifest, **more)])

    def set_index(self, entries: list[Any]) -> None:
        self.files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()

    def write_directory(self, path: Path) -> Path:
        for name, data in self.files.items():
            target = path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return path

    def write_archive(self, path: Path) -> Path:
        with tarfile.open(path, "w") as archive:
            for name, data in self.files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return path
