# SPDX-License-Identifier: Apache-2.0
"""The image of probe pods: this machine's own static busybox, and two folders. Pure.

No image registry is reachable for sure, so the image is made where it is needed.
"""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass

from trustedpods.manifests.check.seeds import FILLING_PROGRAM
from trustedpods.protocol.errors import NoContext

PROGRAM = FILLING_PROGRAM
"""Where the program is in the image."""

VOLUME = "/data"
"""A folder for everybody that the image declares as a volume; another one is /tmp."""

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"

_ELF = b"\x7fELF"
_LOADER = b"/ld-linux"
"""In the first page of a program that needs libraries, which the image does not have."""

_MACHINES = {62: "amd64", 183: "arm64"}
"""`e_machine` of an ELF file, as OCI calls it."""


@dataclass(frozen=True, slots=True)
class ProbeImage:
    """Blobs by digest, and the manifest that names them."""

    blobs: dict[str, bytes]
    manifest: bytes

    @property
    def digest(self) -> str:
        """Of the manifest: what a node pulls it by."""
        return _digest(self.manifest)


def probe_image(busybox: bytes) -> ProbeImage:
    """The image around a statically linked busybox; NoContext when it is not one."""
    if not busybox.startswith(_ELF) or _LOADER in busybox[:4096]:
        raise NoContext("busybox is not a static program", hint="apt-get install busybox-static")
    layer = _layer(busybox)
    config = json.dumps(
        {
            "architecture": _MACHINES.get(int.from_bytes(busybox[18:20], "little"), "unknown"),
            "os": "linux",
            "config": {"Entrypoint": [PROGRAM], "User": "65532", "Volumes": {VOLUME: {}}},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _descriptor(_CONFIG, config),
        "layers": [_descriptor(_LAYER, layer)],
    }
    return ProbeImage({_digest(blob): blob for blob in (config, layer)}, json.dumps(manifest).encode())


def _layer(program: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        item = tarfile.TarInfo(PROGRAM.removeprefix("/"))
        item.size, item.mode = len(program), 0o755
        tar.addfile(item, io.BytesIO(program))
        for folder in ("/tmp", VOLUME):  # noqa: S108 - the image's
            item = tarfile.TarInfo(folder.removeprefix("/"))
            item.type, item.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(item)
    return packed.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()
