# SPDX-License-Identifier: Apache-2.0
"""Every file that a page names is there.

A path is meant from the repository's root. `slots.py` behind `provider/facade/pools.py` in the same line is
its neighbour, and the page on the facade names tests from `tests/provider/`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

PAGES = [
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name != "glossary.md"),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
]
"""The glossary names classes, which tests/test_glossary.py looks for."""

TOP = ("publisher", "provider", "protocol", "contracts", "manifests", "deploy", "tests", "docs")

NOT_YET = {"deploy/guest"}
"""Pages that say what comes may name it."""

PATH = re.compile(r"`([\w./-]+?)(?:::\w+)?`")
FROM_TOP = re.compile(rf"(?:{'|'.join(TOP)})/")
SOURCE = re.compile(r"\w\.(?:py|sol|go)$")
ATTACK = re.compile(r"a/")
"""How docs/threats.md shortens tests/attacks/: tests/test_threats.py looks at those."""

DUNDER = {"__init__.py"}
"""Named as such, of any package."""


def missing(page: Path) -> Iterator[str]:
    for number, line in enumerate(page.read_text().splitlines(), 1):
        bases = [ROOT, ROOT / "tests" / "provider"]
        for name in PATH.findall(line):
            if name in NOT_YET | DUNDER or ATTACK.match(name):
                continue
            if not (FROM_TOP.match(name) or SOURCE.search(name)):
                continue
            found = next((base / name for base in bases if (base / name).exists()), None)
            if found is None:
                yield f"{page.name}:{number}: {name}"
            else:
                bases.append(found.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    assert list(missing(page)) == []


def test_a_stale_name_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`provider/facade/pools.py`, `slots.py`\n`slots.py`, `provider/app/fleet.py`\n")
    assert list(missing(page)) == ["page.md:2: slots.py", "page.md:2: provider/app/fleet.py"]
