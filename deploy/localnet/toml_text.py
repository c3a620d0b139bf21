# SPDX-License-Identifier: Apache-2.0
"""Writing TOML: what our own configuration files need of it. Pure."""

import json
from collections.abc import Mapping


def toml_text(table: Mapping[str, object]) -> str:
    """A TOML document: plain values first, then each mapping as a table."""
    lines = [f"{key} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for name, inner in table.items():
        if isinstance(inner, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in inner.items())]
    return "\n".join([*lines, ""])


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_value(key)} = {_value(one)}" for key, one in value.items()) + "}"
    text = str(value)
    if "\n" in text and '"""' not in text and "\\" not in text:
        return f'"""\n{text}"""'
    return json.dumps(text, ensure_ascii=False)
