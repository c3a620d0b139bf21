# SPDX-License-Identifier: Apache-2.0
"""A folder with a Dockerfile, built by a builder of this machine to an archive."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.local.converted import read_docker_archive
from trustedpods.publisher.images.local.running import Growing, run_program
from trustedpods.publisher.images.local.stores import SAVE_TIMEOUT_S, write_archive
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageOpening

BUILD_TIMEOUT_S = 3600
"""A build may compile for long; one that hangs is not waited for all day."""

FILES = ("Dockerfile", "Containerfile")
"""What a folder that can be built has, as buildah and podman look for it."""


@dataclass(frozen=True, slots=True)
class Builder:
    """A program that builds: its arguments that build *folder* by its *file* as *tag*, and that save that."""

    build: Callable[[str, str, str], tuple[str, ...]]
    save: Callable[[str, str], tuple[str, ...]]


def _build(tag: str, file: str, folder: str) -> tuple[str, ...]:
    return "build", "--platform", "linux/amd64", "--tag", tag, "--file", file, folder


BUILDERS = {
    "buildah": Builder(
        lambda tag, file, folder: ("build", "--layers", *_build(tag, file, folder)[1:]),
        lambda tag, out: ("push", "--quiet", tag, f"oci-archive:{out}"),
    ),
    "podman": Builder(
        _build, lambda tag, out: ("save", "--quiet", "--format", "oci-archive", "--output", out, tag)
    ),
    "docker": Builder(_build, lambda tag, out: ("save", "--output", out, tag)),
}
"""In the order in which they are looked for: the first two need no daemon."""


def build_file(folder: Path) -> Path | None:
    """What says how *folder* is built; None where nothing does."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def open_built(folder: Path, cache: Path, opening: ImageOpening) -> Image:
    """The image that *folder* becomes, built now; what the builder kept of earlier builds is used.

    Raises `BadInput` with the builder's own last words where it fails.
    """
    folder = folder.absolute()  # so that its name is no option of a builder
    file = build_file(folder)
    if file is None:
        raise BadInput("there is no Dockerfile in this folder", where=str(folder))
    if opening.offline:
        hint = "build it to an archive, and name that: oci-archive:FILE"
        raise BadInput(
            "a build may fetch what its FROM names, and nobody may be asked", where=str(file), hint=hint
        )
    name, path = _builder(opening.builder, file)
    identity = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    tag = f"localhost/trustedpods/build-{identity}:latest"
    builder = BUILDERS[name]
    opening.told.line(f"{name} builds {folder}")
    try:
        run_program((path, *builder.build(tag, str(file), str(folder))), BUILD_TIMEOUT_S, opening.told)
        out = write_archive(
            cache,
            f"dockerfile\0{folder.resolve()}",
            None,
            lambda draft: run_program(
                (path, *builder.save(tag, str(draft))),
                SAVE_TIMEOUT_S,
                opening.told,
                Growing(draft, folder.name),
            ),
        )
    except BadInput as error:
        raise BadInput(
            error.what, where=error.where or str(file), hint=f"try it alone: {name} build {folder}"
        ) from None
    return read_docker_archive(out, None, cache, opening.told)


def _builder(wanted: str | None, file: Path) -> tuple[str, str]:
    """Name and path of the builder that is *wanted*, else of the first that is there."""
    for name in (wanted,) if wanted else BUILDERS:
        if path := shutil.which(name):
            return name, path
    missing = f"{wanted} is not on PATH" if wanted else "none of buildah, podman and docker is on PATH"
    raise BadInput(
        f"it must be built, and {missing}",
        where=str(file),
        hint="install one, or build it elsewhere and give the archive (`docker save -o app.tar IMAGE`)",
    )
