# SPDX-License-Identifier: Apache-2.0
"""Variables of the shell and of files: which goes first, and what is remembered."""

import pytest

from trustedpods.manifests.convert.variables.known import MAX_TAKEN, KnownVariables
from trustedpods.manifests.convert.variables.template import TemplateError


def test_the_shell_goes_before_files_and_what_was_used_is_remembered():
    known = KnownVariables({"A": "shell"}, {"A": ("file", ".env"), "B": ("2", ".env"), "C": ("3", ".env")})
    assert [known.value(name) for name in "ABX"] == ["shell", "2", None]
    assert known.peek("C") == "3"
    assert {source: list(names) for source, names in known.taken.items()} == {
        "the shell": ["A"],
        ".env": ["B"],
    }


def test_values_of_one_file_are_bounded():
    known = KnownVariables({"A": "x" * (MAX_TAKEN // 2)})
    known.value("A")
    known.value("A")
    with pytest.raises(TemplateError, match="in all"):
        known.value("A")
