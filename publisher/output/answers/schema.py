# SPDX-License-Identifier: Apache-2.0
"""JSON Schema (2020-12) of a verb's answers, made of their forms."""

import inspect
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from trustedpods.publisher.journal import Fact
from trustedpods.publisher.output.answers.published import ERROR, LOG_LINE, schema_id
from trustedpods.publisher.output.answers.run import EventJson, FailedJson, RunJson, StepJson
from trustedpods.publisher.output.answers.shell import LogLineJson
from trustedpods.publisher.output.answers.verbs import ANSWERS
from trustedpods.publisher.output.answers.words import Meaning

Schema: TypeAlias = dict[str, Fact]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_OPEN = (StepJson, EventJson)
"""Forms that have fields of their own beside those that are declared."""

_SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def schema(verb: str) -> Schema:
    """What every answer of *verb* is held to. Raises KeyError.

    Of `error` that of any verb that failed, of `log line` each line of `logs -f`.

    It lets fields pass that it does not name: within a version some may come.
    """
    found: dict[str, Schema] = {}
    if verb == ERROR:
        return _named(verb, _object((FailedJson, RunJson), found) | {"additionalProperties": True}, found)
    if verb == LOG_LINE:
        return _named(verb, _object((LogLineJson,), found), found)
    answers, name = ANSWERS[verb], schema_id(verb)
    runs = [
        *((form, RunJson) for form in answers.done),
        *((form, RunJson, FailedJson) for form in answers.failed),
    ]
    several: list[Schema] = [_printed(forms, name, found) for forms in runs]
    return _named(verb, {"anyOf": several}, found)


def _named(verb: str, held: Schema, found: dict[str, Schema]) -> Schema:
    told = {ERROR: "any verb that failed", LOG_LINE: "logs -f"}.get(verb, verb)
    return {
        "$schema": DRAFT,
        "$id": schema_id(verb),
        "title": f"trustedpods {told} -o json",
        **held,
        "$defs": dict(sorted(found.items())),
    }


def _printed(forms: tuple[type, ...], name: str | None, found: dict[str, Schema]) -> Schema:
    """One object of the fields of all *forms*, which says itself what it is held to."""
    whole = _object(forms, found)
    properties = whole["properties"]
    assert isinstance(properties, dict)
    properties["schema"] = {"const": name}
    failed = "after a failure, " if FailedJson in forms else ""
    return {"title": f"{failed}{forms[0].__name__}", **whole}


def _object(forms: tuple[type, ...], found: dict[str, Schema]) -> Schema:
    properties: Schema = {}
    required: list[str] = []
    for form in forms:
        hints = get_type_hints(form, include_extras=True)
        assert not hints.keys() & properties.keys(), form
        properties |= {field: schema_of_type(hint, found) for field, hint in hints.items()}
        required += [field for field in hints if field in form.__required_keys__]  # type: ignore[attr-defined]
    about = " ".join((inspect.getdoc(forms[0]) or "").split())
    described: Schema = {"description": about} if about and about != "dict()" else {}
    return {**described, "type": "object", "properties": properties, "required": required}


def schema_of_type(hint: Any, found: dict[str, Schema]) -> Schema:  # noqa: ANN401 - types have no type of their own
    """Of one type; forms go to *found*, by their names, and are referred to."""
    if is_typeddict(hint):
        _define(hint, found)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if hint is object:  # whatever JSON has: a document of somebody else's
        return {}
    if hint in _SIMPLE:
        return {"type": _SIMPLE[hint]}
    return _composed(get_origin(hint), get_args(hint), found)


def _composed(origin: Any, inner: tuple[Any, ...], found: dict[str, Schema]) -> Schema:  # noqa: ANN401 - as above
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (NotRequired, Annotated):
        meant = _meaning(inner[1]) if origin is Annotated else {}
        return schema_of_type(inner[0], found) | meant
    if origin is list:
        return {"type": "array", "items": schema_of_type(inner[0], found)}
    if origin is dict:
        return {"type": "object", "additionalProperties": schema_of_type(inner[1], found)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of_type(one, found) for one in inner]}
    raise NotImplementedError(f"{origin} has no schema")


def _define(form: type, found: dict[str, Schema]) -> None:
    if form.__name__ not in found:
        found[form.__name__] = {}  # a form that is part of itself finds its name
        opened: Schema = {"additionalProperties": True} if form in _OPEN else {}
        found[form.__name__] = _object((form,), found) | opened


def _meaning(meaning: Meaning) -> Schema:
    pattern: Schema = {} if meaning.pattern is None else {"pattern": meaning.pattern}
    return {"description": meaning.about, **pattern}
