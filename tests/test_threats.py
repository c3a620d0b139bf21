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


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_it_exists(file, name):
    text = (ROOT / re.sub("^a/", "tests/attacks/", file)).read_text()
    assert re.search(rf"^\s*(async def|def|function) {name}\(", text, re.MULTILINE)
