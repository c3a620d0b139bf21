# SPDX-License-Identifier: Apache-2.0
"""YAML that a reader of 1.1 (kubectl, PyYAML) and one of 1.2 (ruamel.yaml) take for what it was."""

import io

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from trustedpods.publisher.commands.yaml_text import document, documents

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = TEXTS | st.sampled_from(["y", "no", "on", "true", "Null", "apiVersion", "a.b/c", "-", "1e3", "0x10"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | KEYS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=12,
)


def both(text):
    return yaml.safe_load(text), YAML(typ="safe", pure=True).load(io.StringIO(text))


@given(VALUES)
def test_both_read_what_was_written(value):
    assert both(document(value)) == (value, value)


@pytest.mark.parametrize("word", ["y", "n", "on", "off", "yes", "no", "true", "null", "~", "1", "1:30"])
def test_no_text_becomes_anything_else(word):
    value = {word: [word, {word: {}}, []]}
    assert both(document(value)) == (value, value)


def test_documents_stand_apart():
    values = [{"kind": "A", "list": [{"x": 1, "y": [2]}]}, {"kind": "B"}]
    assert list(yaml.safe_load_all(documents(values))) == values
    assert documents([{"kind": "A", "n": {"deep": "x"}}]) == '---\nkind: "A"\n"n":\n  deep: "x"\n'
