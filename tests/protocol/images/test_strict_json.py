# SPDX-License-Identifier: Apache-2.0
"""A document that two readers could read differently is refused."""

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.strict_json import MAX_DEPTH, MAX_JSON, exact, parse_object, spelt_right


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "A": 1}',
        '{"s": 1, "\u017f": 1}'.encode(),
        '{"k": 1, "\u212a": 1}'.encode(),
        b'{"a": {"b": 1, "B": 2}}',
        b'{"a": "\xff"}',
        '{"a": 1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a": 1}',
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b'{"a": 1}' + b" " * MAX_JSON,
    ],
)
def test_refused(data):
    with pytest.raises(BadInput, match=r"the thing|names a field twice"):
        parse_object(data, "the thing")


def test_brackets_in_texts_are_no_depth():
    assert parse_object(b'{"a": "' + b"[" * 200 + b'\\"{"}', "the thing")["a"].endswith('"{')


def test_fields():
    known = frozenset(("urls",))
    exact({"a": None, "b": [], "urls": 1}, known, "it")
    with pytest.raises(BadInput, match="'a'"):
        exact({"a": 0}, known, "it")
    spelt_right({"other": 1, "urls": 1}, known, "it")
    with pytest.raises(BadInput, match="'URLs'"):
        spelt_right({"URLs": 1}, known, "it")
