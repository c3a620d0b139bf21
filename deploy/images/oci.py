# SPDX-License-Identifier: Apache-2.0
"""Writes OCI image archives, the same bytes for the same content. Nothing but the standard library.

An archive is a tar file with `oci-layout`, `index.json` and blobs. Times are SOURCE_DATE_EPOCH
or 0, owners and modes are given, entries are sorted: two machines make the same digests.
"""

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a layer: a file with `data`, a symbolic link to `link`, or else a folder."""

    data: bytes | None = None
    link: str | None = None
    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """An image: layers from the bottom up, and how it runs.

    `name` is the reference under which a node knows it; `user` is numeric, because Kubernetes
    can only then see that it is not root. A compressed layer is gzip.
    """

    name: str
    layers: Sequence[Mapping[str, Entry]]
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Sequence[str] = ()
    user: str = ""
    ports: Sequence[int] = ()
    stop_signal: str = ""
    compress: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)


def epoch() -> int:
    """The time that everything in an archive carries."""
    return int(os.environ.get("SOURCE_DATE_EPOCH", "0"))


def layer(entries: Mapping[str, Entry]) -> bytes:
    """A layer as a tar file; folders on the way to an entry are added where they are missing."""
    complete = dict(entries)
    for path in entries:
        for parent in list(Path(path).parents)[:-1]:
            complete.setdefault(str(parent), Entry())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(complete):
            _add(tar, path, complete[path])
    return packed.getvalue()


def _add(tar: tarfile.TarFile, path: str, entry: Entry) -> None:
    item = tarfile.TarInfo(path)
    item.mode, item.uid, item.gid, item.mtime = entry.mode, entry.uid, entry.gid, epoch()
    if entry.link is not None:
        item.type, item.linkname, item.mode = tarfile.SYMTYPE, entry.link, 0o777
        tar.addfile(item)
    elif entry.data is not None:
        item.size = len(entry.data)
        tar.addfile(item, io.BytesIO(entry.data))
    else:
        item.type = tarfile.DIRTYPE
        tar.addfile(item)


def entries_of(rootfs: Path, keep: Sequence[str]) -> dict[str, Entry]:
    """Files and links of a root file system's tar file whose path matches a pattern of *keep*.

    Hard links become files of their own. KeyError names a pattern that matches nothing.
    """
    kept: dict[str, Entry] = {}
    unused = set(keep)
    with tarfile.open(rootfs) as tar:
        for item in tar:
            path = item.name.removeprefix("./")
            matching = {pattern for pattern in keep if fnmatchcase(path, pattern)}
            if matching and not item.isdir():
                kept[path] = _entry(tar, item)
                unused -= matching
    if unused:
        raise KeyError(f"nothing in {rootfs.name} matches {min(unused)}")
    return kept


def _entry(tar: tarfile.TarFile, item: tarfile.TarInfo) -> Entry:
    if item.issym():
        return Entry(link=item.linkname)
    content = tar.extractfile(item)
    assert content is not None
    return Entry(content.read(), mode=item.mode, uid=item.uid, gid=item.gid)


def digest(data: bytes) -> str:
    """The digest by which OCI names content."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def archive(image: Image) -> bytes:
    """The image as an OCI archive."""
    plain = [layer(entries) for entries in image.layers]
    packed = [gzip.compress(data, mtime=0) if image.compress else data for data in plain]
    config = _json(_config(image, [digest(data) for data in plain]))
    kind = LAYER + ("+gzip" if image.compress else "")
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [_descriptor(kind, data) for data in packed],
        }
    )
    names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name}
    index = _json(
        {"schemaVersion": 2, "manifests": [_descriptor(MANIFEST, manifest) | {"annotations": names}]}
    )
    files = {"oci-layout": Entry(_json({"imageLayoutVersion": "1.0.0"}), mode=0o644)}
    files["index.json"] = Entry(index, mode=0o644)
    for data in (*packed, config, manifest):
        files["blobs/sha256/" + digest(data).removeprefix("sha256:")] = Entry(data, mode=0o644)
    return layer(files)


def _config(image: Image, diff_ids: Sequence[str]) -> dict[str, Any]:
    run: dict[str, Any] = {
        "Entrypoint": list(image.entrypoint),
        "Cmd": list(image.command),
        "Env": list(image.environment),
        "User": image.user,
        "ExposedPorts": {f"{port}/tcp": {} for port in image.ports},
        "StopSignal": image.stop_signal,
        "Labels": dict(image.labels),
    }
    return {
        "architecture": "amd64",
        "os": "linux",
        "config": {key: value for key, value in run.items() if value},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
