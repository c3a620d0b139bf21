# SPDX-License-Identifier: Apache-2.0
"""`convert`: a manifest out of a file of another format, checked as any other but for its images."""

import json
from collections.abc import Mapping
from pathlib import Path

from trustedpods.manifests.convert.file import NO_VARIABLES
from trustedpods.manifests.convert.file import convert as convert_file
from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.parse import MAX_MANIFEST, load_made
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB, MAX_MANIFEST_JSON
from trustedpods.publisher.results.validated import DraftResult
from trustedpods.publisher.verbs.drafts.draft import PERSONS, PRIVATE, STDOUT, keep_draft


def convert(
    source: Path,
    file: Path,
    name: str | None,
    *,
    force: bool,
    shell: Mapping[str, str] = NO_VARIABLES,
    env_files: tuple[Path, ...] = (),
) -> DraftResult:
    """Write what *source* becomes to *file*; one that is there is kept, but for *force*.

    Its variables are those of *shell*, then those of *env_files*, without them of `.env` beside it.
    Files that it names are looked for from where the manifest will be, so that is beside *source*. Raises
    `BadInput` with a line for each field that cannot be converted, or that no manifest takes.
    """
    made = convert_file(source, name, shell=shell, env_files=env_files)
    place = source.parent / "pod.yaml" if str(file) == STDOUT else file
    if place.absolute().parent != source.absolute().parent:
        raise BadInput(
            "a manifest names files from its own folder",
            where=str(file),
            hint=f"write it beside {source}: -f {source.parent / file.name}",
        )
    text = _text(made.tree, source)
    tree, _ = first_document(text, place)
    try:
        loaded = load_made(place, tree, plain(tree, place))
    except BadInput as error:
        raise BadInput(f"it becomes a manifest that is refused: {error}", where=str(source)) from None
    pod = loaded.manifest.metadata.name
    mode = PRIVATE if made.private else PERSONS
    return DraftResult(pod, text, keep_draft(text, file, force=force, mode=mode), made.notes)


def _text(tree: Mapping[str, object], source: Path) -> str:
    """*tree* as YAML that may be a manifest's; what is far too long is not even written out."""
    if len(json.dumps(tree)) <= 2 * MAX_MANIFEST_JSON:  # escapes make it longer than YAML is
        text = written(tree)
        if len(text.encode()) <= MAX_MANIFEST:
            return text
    raise BadInput(
        f"it becomes a manifest of more than {MAX_MANIFEST // KIB} KiB",
        where=str(source),
        hint="send what is long as a file of `configs`",
    )
