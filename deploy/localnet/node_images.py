# SPDX-License-Identifier: Apache-2.0
"""The two images that a node itself needs, made from Debian's static busybox: no registry is asked.

`pause` holds a pod's namespaces open; `busybox` runs the storage provisioner's scripts, and is
handy in tests. They share one layer.
"""

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from trustedpods.localnet.commands import run
from trustedpods.localnet.folders import replace_file

PAUSE = "localnet.trustedpods.dev/pause:1"
BUSYBOX = "localnet.trustedpods.dev/busybox:1"

_BINARY = Path("/bin/busybox")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_FOREVER_S = 2**31 - 1


def write_archive(path: Path) -> None:
    """Write both images as one OCI archive."""
    applets = run([_BINARY, "--list"]).split()
    layer = _layer(_BINARY.read_bytes(), applets)
    blobs = [layer]
    index = []
    for name, command in ((PAUSE, ["/bin/sleep", str(_FOREVER_S)]), (BUSYBOX, ["/bin/sh"])):
        config = _json({**_config(layer), "config": {"Env": ["PATH=/bin"], "Cmd": command}})
        manifest = _json(_manifest(config, layer))
        blobs += [config, manifest]
        annotations = {"io.containerd.image.name": name}
        index.append({**_descriptor("manifest", manifest), "annotations": annotations})
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"})}
    files["index.json"] = _json({"schemaVersion": 2, "manifests": index})
    files |= {f"blobs/sha256/{_digest(blob)[7:]}": blob for blob in blobs}
    replace_file(path, _tar([(_file(name, len(data)), data) for name, data in files.items()]))


def _layer(binary: bytes, applets: list[str]) -> bytes:
    entries = [(_file("bin/busybox", len(binary), 0o755), binary)]
    for applet in applets:
        if applet != "busybox":
            link = _file(f"bin/{applet}", 0)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            entries.append((link, b""))
    folder = _file("tmp", 0, 0o1777)
    folder.type = tarfile.DIRTYPE
    return _tar([*entries, (folder, b"")])


def _config(layer: bytes) -> dict[str, object]:
    machine = platform.machine()
    return {
        "architecture": _ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }


def _manifest(config: bytes, layer: bytes) -> dict[str, object]:
    return {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("config", config),
        "layers": [_descriptor("layer", layer)],
    }


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    suffix = {"manifest": "manifest.v1+json", "config": "config.v1+json", "layer": "layer.v1.tar"}[kind]
    return {
        "mediaType": f"application/vnd.oci.image.{suffix}",
        "digest": _digest(blob),
        "size": len(blob),
    }


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _file(name: str, size: int, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    return entry


def _tar(entries: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for entry, data in entries:
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
