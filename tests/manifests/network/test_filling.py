# SPDX-License-Identifier: Apache-2.0
"""Values in a template: types, places, bounds, and nothing that a value could open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.network import filling
from trustedpods.manifests.network.filling import filled

NAMES = {"values.port": 8080, "values.name": "a", "values.on": True, "self.name": "node-1"}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("${values.port}", 8080),
        ("${values.on}", True),
        ("http://${self.name}:${values.port}/${values.on}", "http://node-1:8080/true"),
        ("$${values.port} and $${values.port", "${values.port} and ${values.port"),
        ("${node.a.web.url} $(POD) ${HOME} $$", "${node.a.web.url} $(POD) ${HOME} $$"),
        ("", ""),
    ],
)
def test_what_a_text_becomes(text, made):
    assert filled({"a": [text]}, NAMES).tree == {"a": [made]}
    assert not filled({"a": [text]}, NAMES).problems


@pytest.mark.parametrize(
    ("tree", "at", "told"),
    [
        ({"a": ["x", "${values.prot}"]}, ("a", 1), "nothing is called 'values.prot'; there are: values.name"),
        ({"a": "${values.port"}, ("a",), "has no end"),
        ({"a": "${shared.genesis}"}, ("a",), "nothing is called 'shared.genesis'"),
        ({"${values.name}": 1}, ("${values.name}",), "a key cannot be a reference"),
    ],
)
def test_what_is_wrong_and_where(tree, at, told):
    (problem,) = filled(tree, NAMES).problems
    assert problem.location == at
    assert told in problem.text


@given(st.text())
def test_a_value_stays_one_text_whatever_is_in_it(text):
    made = filled({"a": "${values.x}", "b": "-${values.x}-"}, {"values.x": text})
    assert made.tree == {"a": text, "b": f"-{text}-"}


def test_a_template_that_would_grow_without_bounds_is_refused_once():
    names = {"values.x": "x" * 4096}
    made = filled(["${values.x}" * 100] * 1000, names)
    (problem,) = made.problems
    assert "256 KiB" in problem.text
    assert isinstance(made.tree, list)
    assert sum(map(len, made.tree)) <= filling.MAX_FILLED


def test_all_that_was_asked_for_is_told():
    assert filled("${values.port}${values.none}", NAMES).used == {"values.port", "values.none"}
