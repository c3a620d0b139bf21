# SPDX-License-Identifier: Apache-2.0
"""docs/manifest-words.md, drawn from the table of words.

python -m tests.manifests.words.page     # writes the page anew, between its markers
"""

import json
from collections.abc import Iterator

from tests.paths import ROOT
from trustedpods.manifests.words.files import KINDS
from trustedpods.manifests.words.places import all_places
from trustedpods.manifests.words.word import Word

PAGE = ROOT / "docs" / "manifest-words.md"
BEGIN = "<!-- drawn from manifests/words: python -m tests.manifests.words.page -->"
END = "<!-- end of what is drawn -->"


def drawn() -> str:
    """The part of the page between its markers."""
    return "\n".join([*_places(), *_kinds()])


def _places() -> Iterator[str]:
    for place in all_places():
        yield from (f"### In {place.title}", "", "| word | what to do |", "|---|---|")
        seen: dict[str, list[str]] = {}
        for name, word in place.words.items():
            if place.word(name) is not None:
                seen.setdefault(_what_to_do(word), []).append(name)
        for text, names in seen.items():
            yield f"| {', '.join(f'`{name}`' for name in names)} | {text} |"
        if place.devices is not None:
            yield f"| any name with a `/`, as `nvidia.com/gpu` | {place.devices.advice} |"
        yield ""


def _what_to_do(word: Word) -> str:
    if word.whatever:
        return "may stay: nothing here reads it"
    if word.inside is not None:
        return f"see {word.inside.title}"
    stays = ", ".join(f"`{json.dumps(value)}`" for value in word.same)
    return (f"{stays} may stay; else {word.advice}" if stays else word.advice).replace("|", "\\|")


def _kinds() -> Iterator[str]:
    yield from ("### A file of another kind", "", "| Kubernetes' `kind` | what to do |", "|---|---|")
    seen: dict[str, list[str]] = {}
    for kind, advice in KINDS.items():
        seen.setdefault(advice, []).append(kind)
    for advice, kinds in seen.items():
        yield f"| {', '.join(f'`{kind}`' for kind in kinds)} | {advice} |"


def page() -> str:
    """The page as it must be: what stands around the markers stays."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n\n{drawn()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page())
