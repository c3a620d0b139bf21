# SPDX-License-Identifier: Apache-2.0
"""`provider.toml` as text: each key of the model with its comment, defaults commented out. Pure."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.setup.toml.key_comments import COMMENTS, TABLES

_WIDTH = 100
_OPENING = (
    "# SPDX-License-Identifier: Apache-2.0",
    "# Settings of a Trusted Pods provider, written by `trustedpods-provider setup`. Values that you change",
    "# stay when it runs again; comments of your own do not. What is behind a # has its default.",
)


def sections(model: type[BaseModel] = ProviderConfig) -> dict[str, type[BaseModel]]:
    """The tables of the file by name, those that may be left out too."""
    return {name: _model(field) for name, field in model.model_fields.items()}


def keys() -> list[str]:
    """Every key of the file, as TABLE.KEY."""
    return [f"{table}.{key}" for table, model in sections().items() for key in _fields(model)]


def commented(config: ProviderConfig) -> str:
    """The file of these settings: read again, it is equal to *config*."""
    lines = list(_OPENING)
    for table, model in sections().items():
        section = getattr(config, table)
        lines += ["", *_comment(TABLES[table]), f"[{table}]" if section is not None else f"# [{table}]"]
        lines += _section(table, model, section)
    return "\n".join([*lines, ""])


def _section(table: str, model: type[BaseModel], section: BaseModel | None) -> Iterator[str]:
    later: list[str] = []
    for key, field in _fields(model).items():
        yield from _comment(COMMENTS[f"{table}.{key}"])
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        value = default if section is None else getattr(section, key)
        if value is None:
            yield f"# {key} ="
        elif section is None or (not field.is_required() and value == default):
            yield f"# {key} = {toml_value(value)}"
        elif isinstance(value, Mapping) and any(isinstance(one, BaseModel) for one in value.values()):
            for name, inner in value.items():
                later += [f"[{table}.{key}.{toml_value(name)}]"]
                later += [f"{k} = {toml_value(v)}" for k, v in inner.model_dump(exclude_none=True).items()]
        elif isinstance(value, BaseModel):
            later += [f"[{table}.{key}]"]
            later += [f"{k} = {toml_value(v)}" for k, v in value.model_dump(exclude_none=True).items()]
        else:
            yield f"{key} = {toml_value(value)}"
    yield from later


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A table's keys. Messages have a `kind` that no file has."""
    return {name: field for name, field in model.model_fields.items() if name != "kind"}


def _model(field: FieldInfo) -> type[BaseModel]:
    kinds = get_args(field.annotation) if isinstance(field.annotation, UnionType) else [field.annotation]
    return next(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)


def toml_value(value: object) -> str:
    """A value of TOML: text, number, truth, a list, or an inline table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_value(key)} = {toml_value(one)}" for key, one in value.items()) + "}"
    text = str(value)
    plain = text.replace("\n", "").isprintable() and '"""' not in text and "\\" not in text
    if "\n" in text and plain:
        return f'"""\n{text}"""'
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
