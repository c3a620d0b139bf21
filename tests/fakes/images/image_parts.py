# SPDX-License-Identifier: Apache-2.0
"""Parts of image archives, made in memory: entries, layers, and all blobs of an archive.

The program in them is a text of a few hundred bytes, or busybox where the image is to run (tests/cases).
"""

import gzip
import io
import json
import struct
import subprocess
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.images.oci_images import CONFIG, INDEX, LAYER, MANIFEST, descriptor, digest

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
EMPTY = "application/vnd.oci.empty.v1+json"

REF, FULL = "org.opencontainers.image.ref.name", "io.containerd.image.name"
PROGRAM = b"program " * 64
NET_BIND = "\x01\x00\x00\x02\x00\x04" + "\x00" * 14  # cap_net_bind_service=ep, as setcap writes it


def entry(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar entry; *fields* are those of `TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for field_name, value in fields.items():
        setattr(info, field_name, value)
    return info, data


def tar(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A layer of these entries."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=form) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return packed.getvalue()


SCRIPT = b"""#!/bin/sh
# Serves the whole image, and in /tmp/self what it was started with.
trap 'exit 0' TERM QUIT 37
{ /bin/busybox id; /bin/busybox pwd; /bin/busybox env; echo "arguments: $*"; } > /tmp/self
/bin/busybox sleep "${START_DELAY:-0}"
/bin/busybox httpd -p "${PORT:-8080}" -h / || exit 1
test -z "$EXIT_AFTER" || { /bin/busybox sleep "$EXIT_AFTER"; exit 0; }
while :; do /bin/busybox sleep 3600 & wait $!; done
"""


def app_layer(program: bytes) -> bytes:
    """The lowest layer of every image: `/app`, and the program that its script calls."""
    return tar(
        entry("tmp", type=tarfile.DIRTYPE, mode=0o1777),
        entry("bin/busybox", program),
        entry("bin/sh", type=tarfile.SYMTYPE, linkname="busybox"),
        entry("app", SCRIPT),
        entry("index.html", b"it runs\n"),
        entry("health", b"well\n"),
    )


APP = app_layer(PROGRAM)
"""In a list of layers it stands for the one with the program that the archive is made with."""

Layer = bytes | Callable[[bytes], bytes]
"""A layer, or how to make it of the program."""


def gzipped(data: bytes) -> bytes:
    """As every builder packs a layer."""
    return gzip.compress(data, mtime=0)


def in_two(data: bytes) -> bytes:
    """Two gzip members, as parallel packers write them."""
    return gzip.compress(data[:700]) + gzip.compress(data[700:])


def zstd(data: bytes) -> bytes:
    """By the program, which every Debian has."""
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


@dataclass
class Parts:
    """Blobs of an archive: an image, and what stands beside it."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    program: bytes = PROGRAM

    def layer(self, layer: Layer) -> bytes:
        """The layer with this archive's program in it."""
        if layer == APP:
            return APP if self.program == PROGRAM else app_layer(self.program)
        return layer if isinstance(layer, bytes) else layer(self.program)

    def add(self, kind: str, data: bytes, **more: Any) -> dict[str, Any]:
        """Keep a blob; its descriptor."""
        self.blobs[digest(data)] = data
        return descriptor(kind, data) | more

    def document(self, kind: str, tree: Any, **more: Any) -> dict[str, Any]:
        return self.add(kind, json.dumps(tree).encode(), **more)

    def image(
        self,
        which: str = "app",
        *,
        layers: tuple[Layer, ...] = (APP,),
        pack: Callable[[bytes], bytes] = gzipped,
        kinds: tuple[str, ...] | None = None,
        run: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        manifest: dict[str, Any] | None = None,
        layer: dict[str, Any] | None = None,
        docker: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """An image whose environment says *which* it is; the descriptor of its manifest."""
        runs = {"Entrypoint": ["/app"], "User": "10001", "Env": [f"WHICH={which}"], **(run or {})}
        plain = [self.layer(one) for one in layers]
        rootfs = {"type": "layers", "diff_ids": [digest(one) for one in plain]}
        tree = {"architecture": "amd64", "os": "linux", "config": runs, "rootfs": rootfs, **(config or {})}
        packed = [pack(one) for one in plain]
        kinds = kinds or ((DOCKER_LAYER + ".gzip" if docker else LAYER + "+gzip"),) * len(packed)
        kind = DOCKER_MANIFEST if docker else MANIFEST
        whole = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": self.document(DOCKER_CONFIG if docker else CONFIG, tree),
            "layers": [self.add(k, one) | (layer or {}) for k, one in zip(kinds, packed, strict=True)],
        }
        return self.document(kind, whole | (manifest or {}), **more)

    def archive(self, *entries: dict[str, Any], prefix: str = "") -> bytes:
        """An archive whose index has these entries."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode()}
        files |= {f"blobs/sha256/{name[7:]}": data for name, data in self.blobs.items()}
        return tar(*(entry(prefix + name, data) for name, data in files.items()), form=tarfile.USTAR_FORMAT)


def sparse_entry(size: int) -> bytes:
    """An old GNU sparse entry that says it is of *size* bytes, of which none is stored."""
    info, _ = entry("sparse")
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = b"S"
    block[483:495] = (
        b"%011o\0" % size if size < 8**11 else struct.pack(">I", 0x80000000) + struct.pack(">Q", size)
    )
    return sealed_header(block)


def sealed_header(block: bytearray) -> bytes:
    """A header with its right check sum."""
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
