# SPDX-License-Identifier: Apache-2.0
"""A field of a manifest in words, from the same model that checks it: `spec.scale.idleAfter`. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

from trustedpods.manifests.schema import schema
from trustedpods.manifests.words.places import MANIFEST
from trustedpods.manifests.words.word import Place
from trustedpods.protocol.errors import BadInput

MAX_DEPTH = 12
"""Fields in a path; the deepest of the model has nine."""

MAX_LISTED = 12
"""Paths of one name, or fields, that a message lists."""

_KINDS = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
_SECONDS = "(ms|s|m|h|d)"
"""In the pattern of a time."""


@dataclass(frozen=True, slots=True)
class ExplainedField:
    """One field: what may stand there. `default` is as it would be written, None where there is none.

    `about` is what its own part says, or, for a plain value, the part that it stands in (`within`).
    """

    path: str
    type: str
    required: bool
    default: str | None
    rules: tuple[str, ...]
    within: str
    about: str
    fields: tuple["ExplainedField", ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """A node of the schema, the part that it stands in, and its path."""

    node: Mapping[str, Any]
    part: Mapping[str, Any]
    path: tuple[str, ...]
    place: Place | None


def explained(path: str, kind: str = "Pod") -> ExplainedField:
    """What may stand at *path*: fields with dots between them, or the end of such a path that only one has.

    Empty is the whole file. Raises `BadInput` with the nearest name, or with what to write for a word of
    another format.
    """
    tree = _schema(kind)
    root = _Found(tree, tree, (), MANIFEST if kind == "Pod" else None)
    names = tuple(name.partition("[")[0] for name in path.split(".") if name)
    if len(names) > MAX_DEPTH:
        raise BadInput(f"more than {MAX_DEPTH} fields in it", where="FIELD")
    return _described(_walked(_whole(names, root, tree, kind), root, tree), tree)


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    """The schema, drawn once: that takes a quarter of a second."""
    return schema(kind)


def _whole(names: tuple[str, ...], root: _Found, tree: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """*names* from the root; where they are the end of several paths the reader has to choose."""
    if names and names[0].casefold() == kind.casefold():
        names = names[1:]
    top = _fields(root.node, tree)
    if not names or names[0] in top:
        return names
    ends = [at for at in _all_paths(root, tree) if at[-len(names) :] == names]
    if len(ends) == 1:
        return ends[0]
    if not ends:
        return names if len(names) > 1 or _word(root, names[0]) else _nearest_anywhere(names, root, tree)
    shown = ", ".join(".".join(end) for end in ends[:MAX_LISTED])
    more = f" and {len(ends) - MAX_LISTED} more" if len(ends) > MAX_LISTED else ""
    raise BadInput(f"{'.'.join(names)!r} stands in {len(ends)} places: {shown}{more}", where="FIELD")


def _nearest_anywhere(names: tuple[str, ...], root: _Found, tree: Mapping[str, Any]) -> tuple[str, ...]:
    """A lone name that is no field: whatever is spelt like it."""
    near = get_close_matches(names[0], sorted({at[-1] for at in _all_paths(root, tree)}), 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there is: {', '.join(_fields(root.node, tree))}"
    raise BadInput(f"no field {names[0][:64]!r}", where="FIELD", hint=hint)


def _walked(names: tuple[str, ...], found: _Found, tree: Mapping[str, Any]) -> _Found:
    for name in names:
        fields = _fields(found.node, tree)
        if name not in fields:
            where = f"in {'.'.join(found.path)}" if found.path else "at the top"
            known = [] if found.place is None else list(found.place.words)
            near = get_close_matches(name, [*fields, *known], 1)
            advice = _word(found, name) or (_word(found, near[0]) if near else None)
            listed = f"there is: {', '.join(fields)}" if fields else "it has no fields of its own"
            hint = advice or (f"did you mean {near[0]!r}?" if near else listed)
            raise BadInput(f"no field {name[:64]!r} {where}", where="FIELD", hint=hint)
        found = _below(found, name, tree)
    return found


def _below(found: _Found, name: str, tree: Mapping[str, Any]) -> _Found:
    part = _part(found.node, tree)
    place = None if found.place is None else found.place.parts.get(name)
    return _Found(part["properties"][name], part, (*found.path, name), place)


def _word(found: _Found, name: str) -> str | None:
    """What is known of a word of another format."""
    word = None if found.place is None else found.place.word(name)
    return None if word is None else word.advice


def _all_paths(root: _Found, tree: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Every path of the model; one that comes back to itself ends there."""
    waiting = deque([root])
    while waiting:
        found = waiting.popleft()
        for name in _fields(found.node, tree):
            below = _below(found, name, tree)
            yield below.path
            if len(below.path) < MAX_DEPTH:
                waiting.append(below)


def _variants(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Forms of a value but for null, which says nothing."""
    return [one for one in node.get("anyOf", [node]) if one.get("type") != "null"]


def _part(node: Mapping[str, Any], tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part with fields behind a reference, a list or a map; empty of a plain value."""
    for one in _variants(node):
        if "$ref" in one:
            named: Mapping[str, Any] = tree["$defs"][one["$ref"].rpartition("/")[2]]
            return named if "properties" in named else {}
        inner = one.get("items") or next(iter(one.get("patternProperties", {}).values()), None)
        if isinstance(inner, Mapping) and (part := _part(inner, tree)):
            return part
    return node if "properties" in node else {}


def _fields(node: Mapping[str, Any], tree: Mapping[str, Any]) -> list[str]:
    return list(_part(node, tree).get("properties", ()))


def _described(found: _Found, tree: Mapping[str, Any], *, inside: bool = True) -> ExplainedField:
    """The field; with *inside* those below it too, each without its own."""
    part = _part(found.node, tree)
    below = [_below(found, name, tree) for name in _fields(found.node, tree)] if inside else []
    return ExplainedField(
        path=".".join(found.path),
        type=_type(found.node) if found.path else "object",
        required=bool(found.path) and found.path[-1] in found.part.get("required", ()),
        default=_default(found),
        rules=tuple(_rules(found.node)),
        within="" if part else ".".join(found.path[:-1]),
        about=(part or found.part).get("description", ""),
        fields=tuple(_described(one, tree, inside=False) for one in below),
    )


def _type(node: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_one_type(one) for one in _variants(node)))


def _one_type(node: Mapping[str, Any]) -> str:
    if "const" in node:
        return f"{node['const']!r}"
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    if "items" in node:
        return f"list of {_type(node['items'])}"
    if "patternProperties" in node:
        return f"map of names to {_type(next(iter(node['patternProperties'].values())))}"
    return _plain_type(node)


def _plain_type(node: Mapping[str, Any]) -> str:
    kind = node.get("type")
    if isinstance(kind, list):
        return "quantity"
    if _SECONDS in node.get("pattern", ""):
        return "time"
    return _KINDS.get(str(kind), "object")


def _default(found: _Found) -> str | None:
    """As it would be written; nothing of a default that is empty, or is told field by field below."""
    value = found.node.get("default")
    kind = _type(found.node)
    if value in (None, [], {}) or isinstance(value, dict | list):
        return None
    if isinstance(value, int) and kind == "time":
        return f"{value}s"
    if isinstance(value, int) and kind == "quantity":
        return f"{value}m" if found.path[-1] == "cpu" else f"{value}Mi"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rules(node: Mapping[str, Any]) -> Iterator[str]:
    for one in _variants(node):
        for word, text in _BOUNDS.items():
            if word in one:
                yield f"{text} {one[word]}"


_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "maxLength": "characters: at most",
    "minItems": "entries: at least",
    "maxItems": "entries: at most",
    "maxProperties": "names: at most",
}
"""Words of JSON schema. A pattern is left out: its error says the rule in words."""
