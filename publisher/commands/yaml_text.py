# SPDX-License-Identifier: Apache-2.0
"""YAML of plain values, which readers of YAML 1.1 and 1.2 take for the same: every text is in quotes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{3,62}", re.ASCII)
"""Longer than `y`, `on` and `yes`, which older readers take for a truth; the words below are of this form."""

_PAIR = re.compile(r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}")
_WORDS = {"null", "true", "false"}


def documents(values: Sequence[object]) -> str:
    """Each of *values* as a document of its own."""
    return "".join(f"---\n{document(value)}" for value in values)


def document(value: object) -> str:
    """One value, with a line break at its end."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _entry(f"{_key(str(key))}:", below)
    elif isinstance(value, list | tuple) and value:
        for below in value:
            first, *rest = _lines(below)
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)
    else:
        yield _quoted(value)


def _entry(head: str, value: object) -> Iterator[str]:
    lines = list(_lines(value))
    if isinstance(value, Mapping | list | tuple) and value:
        yield head
        yield from (f"  {line}" for line in lines)
    else:
        yield f"{head} {lines[0]}"


def _key(text: str) -> str:
    return text if _PLAIN_KEY.fullmatch(text) and text.lower() not in _WORDS else _quoted(text)


def _quoted(value: object) -> str:
    """As JSON, but for signs beyond 16 bits, of which YAML has one escape and not two."""
    return _PAIR.sub(
        lambda pair: f"\\U{ord(json.loads(f'{chr(34)}{pair[0]}{chr(34)}')):08x}", json.dumps(value)
    )
