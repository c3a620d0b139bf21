# SPDX-License-Identifier: Apache-2.0
"""Images of this machine's Docker, Podman or containerd: its own program writes each to an archive, once."""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import parse_reference
from trustedpods.protocol.whole_file import private_folder
from trustedpods.publisher.images.local.converted import read_docker_archive
from trustedpods.publisher.images.local.running import Growing, run_program
from trustedpods.publisher.images.oci import Image
from trustedpods.publisher.images.opening import ImageOpening

SAVE_TIMEOUT_S = 1800
"""Writing an archive: a slow disk writes 20 MB/s, so this is an image of 36 GB."""

ASK_TIMEOUT_S = 60
"""Asking a store for an image's id: Docker's daemon may have to start."""

KEPT_ARCHIVES = 3
"""Of one name: a rollback goes back by one version or two, and an archive may have gigabytes."""

_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")
_FULL_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Store:
    """A program that knows a store: what asks it for an image's id, and what has it write an archive."""

    program: str
    ask: Callable[[str], tuple[str, ...]]
    save: Callable[[str, str], tuple[str, ...]]


def _inspect(name: str) -> tuple[str, ...]:
    return "image", "inspect", "--format", "{{.Id}}", name


_DOCKER = Store("docker", _inspect, lambda name, file: ("save", "--output", file, name))
_PODMAN = Store(
    "podman",
    _inspect,
    lambda name, file: ("save", "--quiet", "--format", "oci-archive", "--output", file, name),
)
_NERDCTL = Store("nerdctl", _inspect, lambda name, file: ("save", "--output", file, name))
_CTR = Store(
    "ctr",
    lambda name: ("image", "ls", "-q", f"name=={_in_full(name)}"),
    lambda name, file: ("image", "export", "--platform", "linux/amd64", file, _in_full(name)),
)

STORES = {
    "docker-daemon": (_DOCKER,),
    "podman": (_PODMAN,),
    "containers-storage": (_PODMAN,),
    "containerd": (_NERDCTL, _CTR),
}
"""The stores by what stands before their images' names; of several programs the first that is there."""


def _in_full(name: str) -> str:
    """As containerd keeps it: it knows no short names."""
    return name if _ID.fullmatch(name) else str(parse_reference(name))


def open_stored(kind: str, name: str, cache: Path, opening: ImageOpening) -> Image:
    """The image *name* of the store that *kind* says. Raises `BadInput`."""
    if not _ID.fullmatch(name):
        parse_reference(name)  # so it is no option of a program either
    store, path = _first_there(kind, name)
    identity = run_program((path, *store.ask(name)), ASK_TIMEOUT_S, opening.told).partition("\n")[0]
    if not identity:
        raise BadInput(f"{store.program} has no image {name}", hint=f"`{store.program} images` lists them")
    what, known = f"{kind}\0{name}", identity if _FULL_ID.fullmatch(identity) else None
    file = archive_file(cache, what, identity)
    if known is None or not file.is_file():
        opening.told.line(f"{store.program} writes {name} to an archive")
        file = write_archive(
            cache,
            what,
            known,
            lambda draft: run_program(
                (path, *store.save(name, str(draft))), SAVE_TIMEOUT_S, opening.told, Growing(draft, name)
            ),
        )
    return read_docker_archive(file, None, cache, opening.told)


def _first_there(kind: str, name: str) -> tuple[Store, str]:
    for store in STORES[kind]:
        if path := shutil.which(store.program):
            return store, path
    wanted = " or ".join(store.program for store in STORES[kind])
    raise BadInput(
        f"{kind}:{name} is asked of {wanted}, which is not on PATH",
        hint="install it, or write the image to an archive where it is, and name that: oci-archive:FILE",
    )


def archive_file(cache: Path, what: str, identity: str) -> Path:
    """Where the archive of one image of *what* lies: of another image of the same name it is another file."""
    first = hashlib.sha256(what.encode()).hexdigest()[:32]
    return cache / "saved" / f"{first}.{hashlib.sha256(identity.encode()).hexdigest()[:32]}.tar"


def _remove_older(file: Path) -> None:
    same = file.parent.glob(f"{file.name.partition('.')[0]}.*.tar")
    for older in sorted(same, key=lambda one: one.stat().st_mtime_ns)[:-KEPT_ARCHIVES]:
        older.unlink(missing_ok=True)


def write_archive(cache: Path, what: str, identity: str | None, write: Callable[[Path], object]) -> Path:
    """Have *write* make the archive of one image of *what*, whole or not at all; of earlier ones few stay.

    Without an *identity* that tells images apart its own bytes do: who deployed an earlier one finds it under
    its own name. Raises `BadInput`, and leaves nothing half done behind.
    """
    folder = cache / "saved"
    try:
        private_folder(folder)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            draft = Path(scratch) / "image.tar"
            write(draft)
            file = archive_file(cache, what, _digest(draft) if identity is None else identity)
            os.replace(draft, file)
        _remove_older(file)
    except OSError as error:
        raise BadInput(f"cannot keep an archive: {error.strerror}", where=str(folder)) from None
    return file


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
