# SPDX-License-Identifier: Apache-2.0
"""What pydantic says of a wrong value, in words that say what to write."""

import re
from difflib import get_close_matches

from trustedpods.manifests.problem import Location

MOST_GIVEN = 40
"""Characters that are shown of a wrong value: of a longer one its begin is enough to find it."""

_PYDANTIC = "Input should be "

_LISTS = {
    "env": "write a list: `env: [{name: A, value: x}]`",
    "command": 'write a list: `command: ["/app", "-v"]`',
    "args": 'write a list: `args: ["-v"]`',
}
_TYPES = {
    "extra_forbidden": "unknown field",
    "missing": "this field is missing",
    "string_type": 'a text is wanted: write it in quotes ("8080", "true")',
    "list_type": "a list is wanted: `[...]`, or lines that begin with `-`",
    "model_type": "a mapping is wanted: `{...}`, or lines with `name: value`",
    "dict_type": "a mapping is wanted: `{...}`, or lines with `name: value`",
    "int_type": "a whole number is wanted, without quotes",
    "bool_type": "true or false is wanted, without quotes",
    "string_unicode": "not a text: it holds half a character (a lone surrogate)",
}


def in_plain_words(kind: str, message: str, at: Location, given: object = None) -> str:
    """*message* of pydantic's error *kind* for the field *at*, or ours where we have a better one."""
    if kind == "literal_error":
        return _none_of(message.removeprefix(_PYDANTIC), given)
    last = at[-1] if at else ""
    if kind == "list_type" and last in _LISTS:
        return _LISTS[str(last)]
    own = message.removeprefix("Value error, ")
    return _TYPES.get(kind, f"must be {own.removeprefix(_PYDANTIC)}" if own.startswith(_PYDANTIC) else own)


def _none_of(words: str, given: object) -> str:
    """Of a value that is none of those that there are, with the nearest."""
    near = get_close_matches(str(given), re.findall("'([^']*)'", words), 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"{str(given)[:MOST_GIVEN]!r} cannot stand here: write {words}{meant}"
