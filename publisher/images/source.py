# SPDX-License-Identifier: Apache-2.0
"""What a manifest calls an image: `oci-archive:FILE`, `oci:DIR` or `docker-archive:FILE`."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import private_folder
from trustedpods.publisher.images.layout import DirectoryLayout, Layout, TarLayout
from trustedpods.publisher.images.oci import Image, read_image

SKOPEO_TIMEOUT_S = 600
"""Converting compresses: some 30 MB/s, so this is an image of 18 GB."""

_KINDS = ("oci-archive", "oci", "docker-archive")
_TAG = re.compile(r"[\w][\w.-]{0,127}")


def open_image(reference: str, base: Path, cache: Path) -> Image:
    """The image that *reference* names; relative paths are below *base*.

    *cache* is where a docker-archive's conversion is kept. A tag may follow the path (`:v2`).
    Raises `BadInput` naming the file.
    """
    kind, separator, rest = reference.partition(":")
    if not separator or kind not in _KINDS or not rest:
        raise BadInput(
            f"not an image on this disk: {reference!r}",
            hint="write oci-archive:FILE, oci:DIRECTORY or docker-archive:FILE; for an image in a registry: "
            "skopeo copy docker://NAME oci-archive:FILE",
        )
    path, tag = _path_and_tag(base, rest)
    if kind == "oci":
        if not path.is_dir():
            raise BadInput("there is no such folder", where=str(path))
        return read_image(DirectoryLayout(path), tag)
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path))
    layout: Layout = TarLayout(path)
    if kind == "docker-archive" and layout.find("oci-layout") is None:
        return read_image(DirectoryLayout(_converted(path, tag, cache)))
    return read_image(layout, tag)


def _path_and_tag(base: Path, rest: str) -> tuple[Path, str | None]:
    path = base / rest
    head, separator, tail = rest.rpartition(":")
    if separator and not path.exists() and _TAG.fullmatch(tail):
        return base / head, tail
    return path, None


def _converted(path: Path, tag: str | None, cache: Path) -> Path:
    """A docker-archive as an OCI layout, made once per content by skopeo."""
    stat = path.stat()
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{tag}"
    target = cache / "converted" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    if target.is_dir():
        return target
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        raise BadInput(
            "skopeo is needed to read a docker-archive", where=str(path), hint="apt install skopeo"
        )
    private_folder(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        layout = Path(scratch) / "layout"
        _skopeo(skopeo, f"docker-archive:{path}" + (f":{tag}" if tag else ""), f"oci:{layout}", path)
        try:
            os.rename(layout, target)
        except OSError:
            if not target.is_dir():  # else another run was faster with the same content
                raise
    return target


def _skopeo(skopeo: str, source: str, target: str, path: Path) -> None:
    command = [skopeo, "--insecure-policy", "copy", "--quiet", source, target]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program; its arguments are this user's own paths
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SKOPEO_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BadInput(f"skopeo did not finish in {SKOPEO_TIMEOUT_S} s", where=str(path)) from None
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BadInput(f"skopeo: {words[-1] if words else 'failed'}", where=str(path))
