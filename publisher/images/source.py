# SPDX-License-Identifier: Apache-2.0
"""What a manifest calls an image: an archive, a name in a registry or a store here, a folder to build."""

import os
import re
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import ImageReference, parse_reference
from trustedpods.publisher.images.index import read_image
from trustedpods.publisher.images.layout import DirectoryLayout, Layout, TarLayout
from trustedpods.publisher.images.local.converted import read_docker_archive
from trustedpods.publisher.images.local.dockerfile import build_file, open_built
from trustedpods.publisher.images.local.stores import STORES, open_stored
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageOpening

_FROM = "paths begin at the manifest's folder"
_FILES = ("oci-archive", "oci", "docker-archive")
_BUILT = "dockerfile"
_REGISTRY = re.compile("docker:/{1,2}")
"""How skopeo writes that a name is a registry's; here it need not be. A `Path` makes one stroke of two."""

_ARCHIVE_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.zst")
"""A name without a tag that ends so is a file that somebody forgot to say is one."""

_MANIFEST_ENDS = (".yaml", ".yml", ".json")
"""What ends so and is not there is a manifest that is missed: no registry is asked for it."""

_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
"""POSIX.1-1988 and GNU tar write it there."""

_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\x00")


def open_image(reference: str, base: Path, cache: Path, opening: ImageOpening | None = None) -> Image:
    """The image that *reference* names; relative paths are below *base*.

    *cache* keeps what is fetched, saved or converted. A name may follow a file's path, in full or in part
    (`:docker.io/shop/web:1.0`, `:shop/web:1.0`, `:1.0`). Raises `BadInput` naming the file or the image, and
    `NetworkFailure` where a registry cannot be reached.
    """
    opening = opening or ImageOpening()
    whole = absolute(reference, base)
    if whole not in opening.opened:
        opening.opened[whole] = _open(reference, base, cache, opening)
    return opening.opened[whole]


def _open(reference: str, base: Path, cache: Path, opening: ImageOpening) -> Image:
    kind, rest = _kind_and_rest(reference)
    if kind in _FILES:
        return _read_file(kind, *_path_and_name(base, rest), cache, opening)
    if kind == _BUILT:
        return open_built(base / rest, cache, opening)
    if kind in STORES:
        return open_stored(kind, rest, cache, opening)
    from trustedpods.publisher.images.registry.pulled import pull  # noqa: PLC0415 - httpx: 60 ms, seldom needed

    return pull(registry_reference(reference), cache, opening)


def _kind_and_rest(reference: str) -> tuple[str, str]:
    """What stands before the first colon where that is a word of ours, and what follows; else no kind."""
    kind, separator, rest = reference.partition(":")
    if separator and (kind in _FILES or kind == _BUILT or kind in STORES):
        if rest:
            return kind, rest
        raise BadInput(f"what follows {kind}: is missing", hint=_WAYS)
    return "", reference


_WAYS = (
    "write oci-archive:FILE, oci:DIRECTORY, docker-archive:FILE, docker-daemon:NAME, podman:NAME, "
    "containerd:NAME, dockerfile:DIRECTORY, or the name of an image in a registry (docs/images.md)"
)


def registry_reference(text: str) -> ImageReference:
    """The image of a registry that *text* names. Raises `BadInput`, also for what is rather a file."""
    name = _REGISTRY.sub("", text, count=1) if _REGISTRY.match(text) else text
    if name.endswith(_MANIFEST_ENDS) and ":" not in name.rpartition("/")[2]:
        raise BadInput(f"{text[:128]!r} is a manifest by its name", hint=_WAYS)
    if name.endswith(_ARCHIVE_ENDS) and ":" not in name.rpartition("/")[2]:
        raise BadInput(f"{text[:128]!r} is a file by its name", hint=f"write oci-archive:{text[:128]}")
    try:
        return parse_reference(name)
    except BadInput as error:
        hint = error.hint if error.hint and "small" in error.hint else _WAYS
        raise BadInput(error.what, hint=hint) from None


def _read_file(kind: str, path: Path, name: str | None, cache: Path, opening: ImageOpening) -> Image:
    if kind == "oci":
        if not path.is_dir():
            raise BadInput("there is no such folder", where=str(path), hint=_FROM)
        return read_image(DirectoryLayout(path), name)
    if not path.is_file():
        raise BadInput("there is no such file", where=str(path), hint=_FROM)
    if kind == "docker-archive":
        return read_docker_archive(path, name, cache, opening.told)
    return read_image(TarLayout(path), name)


def image_reference(given: str) -> str | None:
    """What a manifest calls the image that a person typed.

    In this order: a word of ours before a colon; a file or a folder that is there (an archive, an OCI folder,
    one with a Dockerfile); else a name in a registry. None for what is there and no image, as a manifest, and
    for what no image can be called. Raises `BadInput` for an archive that cannot be read.
    """
    if _kind_and_rest(given)[0] or _REGISTRY.match(given):
        return given
    path = Path(given)
    if path.is_dir():
        return _folder_reference(path, given)
    if not path.exists():
        return given if _may_be_asked_for(given) else None
    if not path.is_file() or not _is_archive(path):
        return None
    return f"{'docker' if TarLayout(path).find('oci-layout') is None else 'oci'}-archive:{given}"


def _folder_reference(path: Path, given: str) -> str | None:
    if (path / "oci-layout").is_file():
        return f"oci:{given}"
    return None if build_file(path) is None else f"{_BUILT}:{given}"


def _may_be_asked_for(given: str) -> bool:
    try:
        registry_reference(given)
    except BadInput:
        return False
    return True


def is_of_file(reference: str) -> bool:
    """Whether *reference* names an archive or an OCI folder: those are read without anybody's help."""
    return _kind_and_rest(reference)[0] in _FILES


def reference_of(reference: str) -> ImageReference | None:
    """The name in a registry that *reference* is; None for what is on this machine."""
    return None if _kind_and_rest(reference)[0] else registry_reference(reference)


def layout_of(reference: str, base: Path) -> Layout | None:
    """The layout that *reference* names as a file or folder; None for what becomes one only when opened."""
    kind, rest = _kind_and_rest(reference)
    path = _path_and_name(base, rest)[0]
    if kind == "oci":
        return DirectoryLayout(path)
    return TarLayout(path) if kind == "oci-archive" else None


def called(reference: str) -> str:
    """What a person would call the image: the last part of its path or name, without its tag."""
    kind, rest = _kind_and_rest(reference)
    if kind in _FILES:
        return rest
    if kind == _BUILT:
        return Path(rest).resolve().name
    try:
        return (parse_reference(rest) if kind else registry_reference(reference)).short_name
    except BadInput:
        return rest


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
    kind, rest = _kind_and_rest(reference)
    if kind == _BUILT:
        return f"{kind}:{(base / rest).absolute()}"
    if kind not in _FILES:
        return reference
    path, name = _path_and_name(base.absolute(), rest)
    return f"{kind}:{path}" + (f":{name}" if name else "")


def lasting(reference: str, base: Path, image: Image) -> str:
    """The same for later, when a name may mean another image: of a registry's *image* its digest.

    Of what a program of this machine wrote it is the archive in the cache.
    """
    kind, _ = _kind_and_rest(reference)
    if kind in _FILES:
        return absolute(reference, base)
    if not kind:
        return str(registry_reference(reference).pinned(image.digest))
    return f"{'oci' if Path(image.place).is_dir() else 'oci-archive'}:{image.place}"


def moved(reference: str, base: Path) -> str:
    """A *reference* from the current folder, as a manifest in the folder *base* writes it."""
    kind, rest = _kind_and_rest(reference)
    if kind not in _FILES and kind != _BUILT:
        return reference
    path, name = (Path(rest), None) if kind == _BUILT else _path_and_name(Path(), rest)
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
