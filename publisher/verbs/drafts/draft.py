# SPDX-License-Identifier: Apache-2.0
"""`init`, and `deploy` of an image: its manifest, made from what the image says and checked as a file's."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.draft import DraftWords, drafted, name_of_image
from trustedpods.manifests.parse import LoadedManifest, load_made
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import replace_whole
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.source import called, image_reference, moved, open_image, registry_reference
from trustedpods.publisher.pod import pod_of
from trustedpods.publisher.results.validated import DraftResult

STDOUT = "-"
"""In place of a file: nothing is written, the manifest is told alone."""

PERSONS = 0o666
"""Mode of a manifest, less the umask, as of any file of a person's."""

PRIVATE = 0o600
"""Mode of a manifest with values that came from files which others perhaps may not read."""


def read_draft(
    image: str, file: Path, words: DraftWords, cache: Path, opening: ImageOpening
) -> tuple[LoadedManifest, str, tuple[str, ...]]:
    """The manifest of *image* as if it stood in *file*, its text, and what a person should know.

    *image* is what a person typed, from the current folder. Raises `BadInput`, for an image that providers
    would not start too.
    """
    reference = image_reference(image)
    if reference is None:
        raise _no_image(image)
    words = replace(words, secrets=tuple(_moved_secrets(words.secrets, file.parent)))
    config = open_image(reference, Path(), cache, opening).config
    name = words.name or name_of_image(called(reference))
    draft = drafted(moved(reference, file.parent), name, config, words)
    text = written(draft.tree)
    tree, _ = first_document(text, file)
    return load_made(file, tree, plain(tree, file)), text, draft.notes


def init(
    image: str,
    file: Path,
    words: DraftWords,
    cache: Path,
    opening: ImageOpening | None = None,
    *,
    force: bool,
) -> DraftResult:
    """Write the manifest of *image* to *file*; one that is there is kept, but for *force*.

    It is checked together with its image first. Raises `BadInput`.
    """
    check_free(file, force=force)
    opening = opening or ImageOpening()
    loaded, text, notes = read_draft(image, file, words, cache, opening)
    pod = pod_of(loaded, cache, opening=opening)
    return DraftResult(pod.name, text, keep_draft(text, file, force=force), notes)


def check_free(file: Path, *, force: bool) -> None:
    """`BadInput` where a file is there already, but for *force*."""
    if str(file) != STDOUT and not force and file.exists():
        raise BadInput(
            "there is a file already", where=str(file), hint="--force writes over it, -f names another"
        )


def keep_draft(text: str, file: Path, *, force: bool, mode: int = PERSONS) -> str | None:
    """Write a manifest to *file*, whose name is returned; nothing where it is to be told alone."""
    if str(file) == STDOUT:
        return None
    check_free(file, force=force)
    try:
        replace_whole(file, text.encode(), mode)
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(file)) from None
    return str(file)


def _moved_secrets(secrets: tuple[str, ...], base: Path) -> Iterator[str]:
    """Each with its file as a manifest in the folder *base* names it."""
    for word in secrets:
        name, sign, file = word.rpartition("=")
        path = Path(file)
        at = os.path.relpath(file, base) if file and not path.is_absolute() else file
        yield f"{name}{sign}{at}"


def _no_image(given: str) -> BadInput:
    if Path(given).exists():
        what = "neither an image archive nor an OCI folder, and no folder with a Dockerfile"
        return BadInput(what, where=given, hint="write one with `docker save -o app.tar IMAGE`")
    try:
        registry_reference(given)
    except BadInput as error:
        return BadInput(f"there is no such file or folder; {error.what}", where=given, hint=error.hint)
    raise AssertionError(given)  # it would have been asked for
