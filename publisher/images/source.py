# SPDX-License-Identifier: Apache-2.0
"""What a manifest calls an image: `oci-archive:FILE`, `oci:DIR` or `docker-archive:FILE`."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import private_folder
from trustedpods.publisher.images.docker_archive import images_of
from trustedpods.publisher.images.index import read_image
from trustedpods.publisher.images.layout import DirectoryLayout, TarLayout
from trustedpods.publisher.images.names import choose
from trustedpods.publisher.images.oci import Image

SKOPEO_TIMEOUT_S = 600
"""Converting compresses: some 30 MB/s, so this is an image of 18 GB."""

_FROM = "paths begin at the manifest's folder"
_KINDS = ("oci-archive", "oci", "docker-archive")

_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
"""POSIX.1-1988 and GNU tar write it there."""

_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00")


def open_image(reference: str, base: Path, cache: Path) -> Image:
    """The image that *reference* names; relative paths are below *base*.

    *cache* is where a docker-archive's conversion is kept. A name may follow the path, in full or in part
    (`:docker.io/shop/web:1.0`, `:shop/web:1.0`, `:1.0`). Raises `BadInput` naming the file.
    """
    kind, separator, rest = reference.partition(":")
    if not separator or kind not in _KINDS or not rest:
        raise BadInput(
            f"not an image on this disk: {reference!r}",
            hint="write oci-archive:FILE, oci:DIRECTORY or docker-archive:FILE; for an image in a registry: "
            "skopeo copy docker://NAME oci-archive:FILE",
        )
    path, name = _path_and_name(base, rest)
    if kind == "oci":
        if not path.is_dir():
            raise BadInput("there is no such folder", where=str(path), hint=_FROM)
        return read_image(DirectoryLayout(path), name)
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path), hint=_FROM)
    layout = TarLayout(path)
    if kind == "docker-archive" and layout.find("oci-layout") is None:
        images = images_of(layout)
        try:
            place = choose(images, name)
        except BadInput as error:
            raise BadInput(error.what, where=str(path), hint=error.hint) from None
        return read_image(DirectoryLayout(_converted(path, place, cache)))
    return read_image(layout, name)


def image_reference(given: str) -> str | None:
    """What a manifest calls the image that a person typed: a reference, an archive or an OCI folder.

    None for what is no image, as a manifest. Raises `BadInput` for an archive that cannot be read.
    """
    if given.partition(":")[0] in _KINDS:
        return given
    path = Path(given)
    if path.is_dir() and (path / "oci-layout").is_file():
        return f"oci:{given}"
    if not path.is_file() or not _is_archive(path):
        return None
    return f"{'docker' if TarLayout(path).find('oci-layout') is None else 'oci'}-archive:{given}"


def _is_archive(path: Path) -> bool:
    """Whether it begins as tar does, or as gzip, zstd or xz do, which `TarLayout` refuses."""
    try:
        with path.open("rb") as file:
            head = file.read(_TAR_MAGIC_AT + len(_TAR_MAGIC))
    except OSError as error:
        raise BadInput(f"cannot read it: {error.strerror}", where=str(path)) from None
    return head.startswith(_PACKED) or head[_TAR_MAGIC_AT:] == _TAR_MAGIC


def absolute(reference: str, base: Path) -> str:
    """A *reference* of a manifest in the folder *base* as it can be opened from anywhere."""
    kind, _, rest = reference.partition(":")
    path, name = _path_and_name(base.absolute(), rest)
    return f"{kind}:{path}" + (f":{name}" if name else "")


def moved(reference: str, base: Path) -> str:
    """A *reference* from the current folder, as a manifest in the folder *base* writes it."""
    kind, _, rest = reference.partition(":")
    path, name = _path_and_name(Path(), rest)
    place = str(path) if path.is_absolute() else os.path.relpath(path, base)
    return f"{kind}:{place}" + (f":{name}" if name else "")


def _path_and_name(base: Path, rest: str) -> tuple[Path, str | None]:
    """The longest beginning before a colon that is there is the path: a name has colons too."""
    if (base / rest).exists():
        return base / rest, None
    at = rest.rfind(":")
    while at > 0:
        if (base / rest[:at]).exists():
            return base / rest[:at], rest[at + 1 :] or None
        at = rest.rfind(":", 0, at)
    return base / rest, None


def _converted(path: Path, place: int, cache: Path) -> Path:
    """The image at *place* of a docker-archive as an OCI layout, made once per content by skopeo."""
    stat = path.stat()
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{place}"
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
        _skopeo(skopeo, f"docker-archive:{path}:@{place}", f"oci:{layout}", path)
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
