# SPDX-License-Identifier: Apache-2.0
"""Files of variables: read as Compose reads them, and never more than their bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests.convert.variables.lengths import least_s
from trustedpods.manifests.convert.variables.dotenv import MAX_VALUES, read_dotenv
from trustedpods.protocol.errors import BadInput

OUTER = {"HOME": "/root", "TAG": "7"}


def read(text):
    return read_dotenv(text, ".env", OUTER.get)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("\n# nothing\n   # more\n\n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("export A=1\n  B = 2  \n", {"A": "1", "B": "2"}),
        ("A: 1\nB:2", {"A": "1", "B": "2"}),
        ("A=\nB=x", {"A": "", "B": "x"}),
        ("A=a b # told\nB=a#b\nC= # told\nD=#x", {"A": "a b", "B": "a#b", "C": "", "D": ""}),
        ("A='x $TAG # \\'y\\''", {"A": "x $TAG # 'y'"}),
        ('A="x $TAG # y"  # told', {"A": "x 7 # y"}),
        ('A="l1\\nl2\\t\\"q\\" \\\\ \\$TAG"', {"A": 'l1\nl2\t"q" \\ $TAG'}),
        ('A="first\nsecond"\nB=1', {"A": "first\nsecond", "B": "1"}),
        ("A='first\nsecond'\nB=1", {"A": "first\nsecond", "B": "1"}),
        ("A=1\nB=${A}2\nC=${B:-x}$TAG", {"A": "1", "B": "12", "C": "127"}),
        ("A=p$$w\nB=p$5w\nC=${", {"A": "p$w", "B": "p$5w", "C": "${"}),
        ('A="a\\$b$!"', {"A": "a$b$!"}),
        ("TAG\nNONE\nA=1", {"TAG": "7", "A": "1"}),
        ("TAG=8", {"TAG": "8"}),
        ("A.B-C=1", {"A.B-C": "1"}),
        ("A=x=y", {"A": "x=y"}),
    ],
)
def test_a_file(text, values):
    assert read(text).values == values


@pytest.mark.parametrize(
    ("text", "line"),
    [("A=1\n=2", 2), ("A=1\n\nB 2", 3), ('A="open\nB=1', 1), ("A='open", 1), ('A="x"y', 1), ("{}", 1)],
)
def test_a_line_that_is_no_variable(text, line):
    with pytest.raises(BadInput) as caught:
        read(text)
    assert caught.value.where == f".env:{line}"


def test_what_is_demanded_and_not_set_is_an_error():
    with pytest.raises(BadInput, match=r"B: \$NONE is not set: say which") as caught:
        read("A=1\nB=${NONE:?say which}")
    assert caught.value.where == ".env:2"


def test_an_error_does_not_show_a_value():
    with pytest.raises(BadInput) as caught:
        read('PASSWORD="secret')
    assert "secret" not in f"{caught.value}{caught.value.hint}"


def test_what_is_not_set_is_named():
    made = read("A=$X\nB=$Y$X")
    assert (made.values, made.unset) == ({"A": "", "B": ""}, ("X", "Y"))


def test_lines_that_double_are_refused():
    with pytest.raises(BadInput, match=r"values have more|becomes longer"):
        read("A=" + "x" * 64 + "\n" + "".join("A=$A$A\n" for _ in range(40)))
    read("A=" + "x" * (MAX_VALUES - 1))


@given(st.dictionaries(st.from_regex(r"[A-Z_]{1,8}", fullmatch=True), st.text()))
def test_what_is_quoted_comes_back(values):
    marks = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$"})
    text = "".join(f'{name}="{value.translate(marks)}"\n' for name, value in values.items())
    assert read(text).values == values


@pytest.mark.parametrize("piece", ["#\n", "A=1\n", "\n", " ", 'A="\\"', "A='", "export ", "A ", "A=#"])
def test_time_goes_by_the_length(piece):
    small, large = (least_s(read, piece * count, BadInput) for count in (1_000, 8_000))
    assert large < 24 * small + 0.001  # by the square: 64 times
