# SPDX-License-Identifier: Apache-2.0
"""`convert`: a manifest out of a file of another format, checked as any other but for its images."""

from pathlib import Path

from trustedpods.manifests.convert.file import convert as convert_file
from trustedpods.manifests.documents import first_document, plain, written
from trustedpods.manifests.parse import load_made
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.results.validated import DraftResult
from trustedpods.publisher.verbs.drafts.draft import PERSONS, PRIVATE, STDOUT, keep_draft


def convert(source: Path, file: Path, name: str | None, *, force: bool) -> DraftResult:
    """Write what *source* becomes to *file*; one that is there is kept, but for *force*.

    Files that it names are looked for from where the manifest will be, so that is beside *source*. Raises
    `BadInput` with a line for each field that cannot be converted, or that no manifest takes.
    """
    made = convert_file(source, name)
    place = source.parent / "pod.yaml" if str(file) == STDOUT else file
    if place.absolute().parent != source.absolute().parent:
        raise BadInput(
            "a manifest names files from its own folder",
            where=str(file),
            hint=f"write it beside {source}: -f {source.parent / file.name}",
        )
    text = written(made.tree)
    tree, _ = first_document(text, place)
    try:
        loaded = load_made(place, tree, plain(tree, place))
    except BadInput as error:
        raise BadInput(f"it becomes a manifest that is refused: {error}", where=str(source)) from None
    pod = loaded.manifest.metadata.name
    mode = PRIVATE if made.private else PERSONS
    return DraftResult(pod, text, keep_draft(text, file, force=force, mode=mode), made.notes)
