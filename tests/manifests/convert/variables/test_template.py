# SPDX-License-Identifier: Apache-2.0
"""Texts with variables: as Compose fills them in, and in time by their length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifests.convert.variables.lengths import least_s
from trustedpods.manifests.convert.variables.template import (
    MAX_FILLED,
    MAX_NESTED,
    TemplateError,
    filled,
)

VALUES = {"A": "one", "B": "two", "EMPTY": "", "DOLLAR": "$A ${B}"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("plain", "plain"),
        ("$A", "one"),
        ("x${A}y$B.z", "xoneytwo.z"),
        ("$A_ALL", ""),
        ("5$$ $${A} $$$A", "5$ ${A} $one"),
        ("$DOLLAR", "$A ${B}"),  # a value is no template
        ("${X:-d}${X-d}${A:-d}${A-d}", "ddoneone"),
        ("${EMPTY:-d}|${EMPTY-d}", "d|"),
        ("${A:+r}${EMPTY:+r}|${EMPTY+r}|${X:+r}${X+r}", "r|r|"),
        ("${X:-${Y:-z}}", "z"),
        ("${X:-${A}}", "one"),
        ("${X:-${Y-${B}}-$A}", "two-one"),
        ("${A:-${X:-${Y}}}", "one"),
        ("${X:-5$$}", "5$"),
        ("${A:?told}${A?told}${EMPTY?told}", "oneone"),
        ("${A:-${X:?told}}", "one"),  # what does not count is not demanded
        ("${X:-a{b}", "a{b"),
        ('${X:-{"a":1}}', '{"a":1}'),
        ("${X:-http://a/?b=c-d}", "http://a/?b=c-d"),
        ("}{", "}{"),
    ],
)
def test_a_text(text, made):
    assert filled(text, VALUES.get).text == made


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5$", "write `\\$\\$`"),
        ("$5", "write `\\$\\$`"),
        ("${}", "write `\\$\\$`"),
        ("${A", "is not closed"),
        ("${A:x}", "is not closed"),
        ("${A:-${B}", "is not closed"),
        ("${X:?say $A}", "\\$X is not set: say one"),
        ("${EMPTY:?}", "\\$EMPTY is not set$"),
        ("${X?}", "\\$X is not set$"),
        ("${X:-" * (MAX_NESTED + 1) + "}" * (MAX_NESTED + 1), "nested deeper"),
    ],
)
def test_a_text_that_is_none(text, told):
    with pytest.raises(TemplateError, match=told):
        filled(text, VALUES.get)


def test_what_is_not_set_is_named_once_and_so_are_defaults():
    made = filled("$X ${Y} $X ${Z:-z} ${A:-$W} ${A+$V}", VALUES.get)
    assert made.unset == ("X", "Y", "V")
    assert made.defaults == (("Z", "z"),)


def test_only_what_counts_is_asked_for():
    asked = []

    def look(name):
        asked.append(name)
        return VALUES.get(name)

    assert filled("${A:-$B}${X:+$B}", look).text == "one"
    assert set(asked) == {"A", "X"}


def test_many_names_of_a_long_value_are_too_long():
    with pytest.raises(TemplateError, match="longer than"):
        filled("$A" * 200, {"A": "x" * (MAX_FILLED // 100)}.get)


@given(st.text())
def test_a_text_with_its_dollars_doubled_is_itself(text):
    made = filled(text.replace("$", "$$"), VALUES.get)
    assert (made.text, made.unset) == (text, ())


@given(st.text(alphabet="$A{}:-?+$", max_size=40))
def test_any_text_is_taken_or_refused(text):
    try:
        made = filled(text, VALUES.get)
    except TemplateError:
        return
    assert set(made.unset) <= {"A", "AA"} | {"A" * n for n in range(40)}


HOSTILE = ["${", "${A", "${A:-", "$", "$$", "${A:-x} ", "${A}", "}", "{", "${X:-${A}}"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_goes_by_the_length(piece):
    def read(text):
        return filled(text, {"A": "x"}.get)

    small, large = (least_s(read, piece * count, TemplateError) for count in (4_000, 32_000))
    assert large < 24 * small + 0.001  # by the square: 64 times
