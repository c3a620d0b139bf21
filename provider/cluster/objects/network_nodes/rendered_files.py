# SPDX-License-Identifier: Apache-2.0
"""A pod's files as its network's address book says them, and what of them makes its replicas anew. Pure."""

import hashlib
from collections.abc import Mapping

from trustedpods.manifests.rendering import WrongReference, rendered
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks.book import NetworkBook

BOOK_SECRET = "network.book"  # noqa: S105 - a name
BOOK_KEY = "book"
"""Where the newest book is kept: no volume is called so, as their names have no dot."""

RELOAD_DUE_KEY = "reload-due"
"""Beside the book while running replicas have not been told that their files are others."""

RENDERED_NOTE = "trustedpods.dev/rendered"
"""Annotation of replicas: a digest of what was rendered into their files."""


def rendered_secrets(
    manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]], book: NetworkBook
) -> dict[str, dict[str, bytes]]:
    """*secrets*, files by volume, with all that is rendered of them.

    BadInput where a file refers to what the book does not have.
    """
    made = {name: dict(files) for name, files in secrets.items()}
    for volume in manifest.spec.volumes:
        for name in volume.secret.rendered if volume.secret else ():
            made[volume.name][name] = _rendered(volume.name, name, made[volume.name][name], book)
    return made


def digest_of(
    manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]], on_change: str
) -> str | None:
    """SHA-256 of the files that may change, where that means *on_change*; None where there are none."""
    found = hashlib.sha256()
    there = False
    for volume in manifest.spec.volumes:
        if volume.secret is None or volume.secret.on_change != on_change:
            continue
        for name in volume.secret.changing:
            there = True
            content = secrets[volume.name][name]
            found.update(f"{volume.name}/{name} {len(content)}\n".encode() + content)
    return found.hexdigest() if there else None


def _rendered(volume: str, name: str, content: bytes, book: NetworkBook) -> bytes:
    try:
        return rendered(content.decode(), book).encode()
    except UnicodeDecodeError:
        raise BadInput("no UTF-8 text", where=f"{volume}/{name}") from None
    except WrongReference as wrong:
        raise BadInput(wrong.what, where=f"{volume}/{name}") from None
