# SPDX-License-Identifier: Apache-2.0
"""Each check of protocol/attestation, when it is taken out, makes a test fail."""

import ast
import subprocess
import sys

import pytest

from tests.examples import some
from tests.mutation.mutants import mutants
from tests.mutation.run import all_mutants
from tests.paths import ROOT


def test_every_check_has_a_mutant():
    found = all_mutants()
    assert len(found) > 100
    found = some(found)
    whole = {file: ast.unparse(ast.parse(file.read_text())) for file in {mutant.file for mutant in found}}
    for mutant in found:
        ast.parse(mutant.source)
        assert mutant.source != whole[mutant.file]


def test_what_is_taken_out(tmp_path):
    file = tmp_path / "code.py"
    file.write_text(
        "def f(a, b):\n    need(a and b, 'x')\n    check_it(a)\n    print(a)\n"
        "    if a or b:\n        raise BadInput('no')\n    raise KeyError\n"
    )
    found = list(mutants(file))
    assert sorted(mutant.line for mutant in found) == [2, 2, 2, 3, 5, 5, 6]
    assert "pass" in found[0].source or "need(" in found[0].source
    assert all("print(a)" in mutant.source and "raise KeyError" in mutant.source for mutant in found)


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_no_mutant_of_the_attestation_package_survives():
    done = subprocess.run(
        [sys.executable, "-m", "tests.mutation.run"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
