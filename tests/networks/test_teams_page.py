# SPDX-License-Identifier: Apache-2.0
"""docs/teams.md names for each promise the tests that hold it: they are there."""

import re

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs/teams.md").read_text().partition("## What holds this")[2]
LIVE = "tests/live/networks/test_leases.py"
ROWS = [line.strip("| ").split("|") for line in PAGE.splitlines() if line.startswith("| ")][1:]


def named() -> list[tuple[str, str]]:
    """Files, and the names of tests that are said to stand in them."""
    found = []
    for row in ROWS:
        assert len(row) == 3, row
        for cell, usual in ((row[1], ""), (row[2], LIVE)):
            file = usual
            for word in re.findall(r"`([^`]+)`", cell):
                named_file = word.endswith(".py")
                file = word if named_file else file
                found.append((file, "" if named_file else word))
    return found


def test_there_is_a_row_for_each_promise() -> None:
    assert len(ROWS) >= 20
    assert all(row[2].strip() for row in ROWS)


@pytest.mark.parametrize(("file", "test"), sorted(set(named())))
def test_what_is_named_is_there(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text() or not test
