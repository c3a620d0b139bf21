# SPDX-License-Identifier: Apache-2.0
"""`rows.toml`: each thing that goes wrong names tests that are there."""

import ast
import tomllib
from functools import cache

import pytest

from tests.paths import ROOT
from tests.publisher.wrong.test_wrong_things import WRONG

ROWS = tomllib.loads((ROOT / "tests" / "publisher" / "wrong" / "rows.toml").read_text())
LEAST_ROWS = 20
"""So many were seen; of some there are several."""


@cache
def functions(path: str) -> frozenset[str]:
    """Names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


@pytest.mark.parametrize("row", ROWS)
def test_its_tests_are_there(row: str) -> None:
    assert ROWS[row]["what"]
    assert ROWS[row]["tests"]
    for test in ROWS[row]["tests"]:
        path, _, rest = test.partition("::")
        name, _, case = rest.partition("[")
        assert name in functions(path), test
        assert not case or case.removesuffix("]") in WRONG, test


def test_none_is_left_out() -> None:
    named = {test.partition("[")[2].removesuffix("]") for row in ROWS.values() for test in row["tests"]}
    assert set(WRONG) <= named
    assert len(ROWS) >= LEAST_ROWS
