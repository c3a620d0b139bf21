# SPDX-License-Identifier: Apache-2.0
"""docs/glossary.md says where each word of the field lives: what it names is there."""

import re

import pytest

from tests.paths import ROOT
from tests.test_old_names import names_in

ROWS = re.findall(
    r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE
)
WORDS = [(word.strip(), where) for word, _, where in ROWS if word not in ("word", "---")]
NAMED = sorted({name for _, where in WORDS for name in re.findall(r"`([^`]+)`", where)})


def test_words_are_in_order_and_each_stands_once() -> None:
    words = [word for word, _ in WORDS]
    assert words == sorted(set(words))
    assert len(words) >= 40


@pytest.mark.parametrize("named", NAMED)
def test_what_is_named_is_there(named: str) -> None:
    path, _, name = named.partition(".")
    module, package = ROOT / f"{path}.py", ROOT / path
    modules = [module] if module.exists() else list(package.glob("*.py"))
    assert modules, f"neither a module nor a package: {path}"
    assert not name or any(name in names_in(place) for place in modules), f"{path} has no {name}"


def test_messages_on_the_protocols_page_are_there() -> None:
    page = (ROOT / "docs/protocol.md").read_text()
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)*)(?:\{[^`]*\})?`", page))
    places = [*(ROOT / "protocol").rglob("*.py"), ROOT / "contracts/eip712.py"]
    assert len(named) > 15
    assert named - {name for place in places for name in names_in(place)} == set()
