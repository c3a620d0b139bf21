# SPDX-License-Identifier: Apache-2.0
"""docs/workloads.md names for each promise the tests that hold it: they are there."""

import re

import pytest

from tests.paths import ROOT

PAGE = (ROOT / "docs/workloads.md").read_text().partition("## What holds this")[2]
ROWS = [line.strip("| ").split("|") for line in PAGE.splitlines() if line.startswith("| ")][1:]


def named() -> list[tuple[str, str]]:
    """Files, and the names of tests that are said to stand in them; "" where the whole file is meant."""
    found = []
    for row in ROWS:
        assert len(row) == 2, row
        file = ""
        for word in re.findall(r"`([^`]+)`", row[1]):
            named_file = word.endswith(".py")
            file = word if named_file else file
            found.append((file, "" if named_file else word))
    return found


def test_each_promise_has_a_test() -> None:
    assert len(ROWS) >= 20
    assert all("`tests/" in row[1] for row in ROWS)


@pytest.mark.parametrize(("file", "test"), sorted(set(named())))
def test_what_is_named_is_there(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text() or not test
