# SPDX-License-Identifier: Apache-2.0
"""What pydantic says of a wrong value, in words that say what to write."""

from trustedpods.manifests.problem import Location

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


def in_plain_words(kind: str, message: str, at: Location) -> str:
    """*message* of pydantic's error *kind* for the field *at*, or ours where we have a better one."""
    last = at[-1] if at else ""
    if kind == "list_type" and last in _LISTS:
        return _LISTS[str(last)]
    return _TYPES.get(kind, message.removeprefix("Value error, "))
