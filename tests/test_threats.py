# SPDX-License-Identifier: Apache-2.0
"""docs/threats.md names a test for each claim: each of them must be there."""

import re

import pytest

from tests.paths import ROOT

NAMED = re.findall(
    r"`((?:a/|tests/|contracts/test/)[^`]+)::(\w+)`", (ROOT / "docs" / "threats.md").read_text()
)


def test_many_are_named():
    assert len(NAMED) > 30


def test_no_file_stands_for_its_tests():
    """A claim names what shows it, not where that may be found; one file shows all of a table."""
    text = (ROOT / "docs" / "threats.md").read_text()
    assert re.findall(r"\[`(?:a/|tests/|contracts/test/)[^:`]+`", text) == []


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_it_exists(file, name):
    text = (ROOT / re.sub("^a/", "tests/attacks/", file)).read_text()
    assert re.search(rf"^\s*(async def|def|function) {name}\(", text, re.MULTILINE)
