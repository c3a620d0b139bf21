# SPDX-License-Identifier: Apache-2.0
"""Values of hostile files: each is taken or refused, and costs no more than its length."""

from pathlib import Path

import pytest

from trustedpods.manifests.convert.file import Folder
from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.values import MAX_COMMAND, millis, words_of


@pytest.fixture
def found():
    return Findings(Folder(Path("nowhere")))


@pytest.mark.parametrize(
    ("cores", "made"),
    [("0.5", "500m"), (1 / 3, "334m"), (" 2 ", "2000m"), (".25", "250m"), ("1.", "1000m"), (0, "1m")],
)
def test_cores(found, cores, made):
    assert millis(cores, ("cpus",), found) == made
    assert not found.problems


@pytest.mark.parametrize("cores", ["1e9", "1E-9", "1/2", "1_0", "-1", "inf", "", "1" * 10, "0." + "1" * 21])
def test_cores_that_are_no_plain_number_are_refused(found, cores):
    assert millis(cores, ("cpus",), found) is None
    assert "cores" in found.problems[0].text


def test_a_command_of_one_long_text_is_refused(found):
    assert words_of("a" * MAX_COMMAND, ("command",), found)
    assert not found.problems
    assert words_of("a" * (MAX_COMMAND + 1), ("command",), found) == []
    assert "as a list" in found.problems[0].text
