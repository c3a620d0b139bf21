# SPDX-License-Identifier: Apache-2.0
"""Answers of `-o json` held against the schema of their verb: used wherever tests run the command.

Every keyword that our schemas have is known here, and another one fails, so nothing passes unread. Where a
reader lets fields pass that a schema does not name, a test does not: one that is not declared fails.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise, takewhile
from typing import Any

from trustedpods.publisher.output.answers.published import ERROR, LOG_LINE, PUBLISHED, schema_id
from trustedpods.publisher.output.answers.schema import schema

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
SAID = {"$schema", "$id", "$defs", "$ref", "anyOf", "title", "description"}
"""Keywords that hold a value to nothing by themselves."""


def _type(tree: object, named: str) -> str:
    right = isinstance(tree, TYPES[named]) and not (isinstance(tree, bool) and named != "boolean")
    return "" if right else f"is no {named}"


def _pattern(tree: object, pattern: str) -> str:
    return f"does not match {pattern}" if isinstance(tree, str) and re.search(pattern, tree) is None else ""


CHECKS = {
    "type": _type,
    "pattern": _pattern,
    "const": lambda tree, value: "" if tree == value else f"is not {value!r}",
    "enum": lambda tree, values: "" if tree in values else f"is none of {values}",
}
"""What one value is held to: what is wrong with it, empty for nothing."""

schema_of = cache(schema)


def problems(tree: Any, held: Any, whole: Any, at: str = "$") -> Iterator[str]:
    """What of *tree* is not as *held* has it, a part of the schema *whole*; each with its place."""
    unknown = held.keys() - SAID - {"properties", "additionalProperties", "items", "required"} - CHECKS.keys()
    assert not unknown, f"nobody checks {unknown}"
    if "$ref" in held:
        yield from problems(tree, whole["$defs"][held["$ref"].removeprefix("#/$defs/")], whole, at)
    if "anyOf" in held:
        yield from _any_of(tree, held["anyOf"], whole, at)
    for keyword in CHECKS.keys() & held.keys():
        if said := CHECKS[keyword](tree, held[keyword]):
            yield f"{at}: {tree!r} {said}"
    if isinstance(tree, list) and "items" in held:
        for number, one in enumerate(tree):
            yield from problems(one, held["items"], whole, f"{at}[{number}]")
    if isinstance(tree, dict) and held.get("type") == "object":
        yield from (f"{at}: no {name}" for name in held.get("required", ()) if name not in tree)
        yield from _fields(tree, held, whole, at)


def _fields(tree: Any, held: Any, whole: Any, at: str) -> Iterator[str]:
    named, others = held.get("properties", {}), held.get("additionalProperties", False)
    for name, one in tree.items():
        if name in named:
            yield from problems(one, named[name], whole, f"{at}.{name}")
        elif others is False:
            yield f"{at}.{name}: not declared"
        elif others is not True:
            yield from problems(one, others, whole, f"{at}.{name}")


def _any_of(tree: Any, choices: Any, whole: Any, at: str) -> Iterator[str]:
    found = [list(problems(tree, choice, whole, at)) for choice in choices]
    if all(found):
        yield from min(found, key=len)


def verb_of(words: Sequence[str]) -> str | None:
    """The verb in a command line, if its answers have a schema."""
    plain = [word for word in words if not word.startswith("-")]
    typed = (" ".join(plain[:count]) for count in (3, 2, 1))
    return next((verb for verb in typed if verb in PUBLISHED), None)


def hold(words: Sequence[str], out: str) -> None:
    """Check what the command with these *words* printed, if that is an object with a schema.

    A usage error and Ctrl-C print no object. With `-f` each line of `logs` is one of its own; what
    comes after `--` is a pod's. A verb without a schema has one for its failures.
    """
    words = list(takewhile(lambda word: word != "--", words))
    as_json = any(pair in {("-o", "json"), ("--output", "json")} for pair in pairwise(words))
    if not as_json or "--help" in words:
        return
    if words[:1] == ["logs"] and {"-f", "--follow"} & set(words):
        hold_log_lines(out)
        return
    verb, rest = verb_of(words), out.strip()
    while rest:  # `watch` prints one for each round
        tree, end = json.JSONDecoder().raw_decode(rest)
        _hold(words, verb, tree)
        rest = rest[end:].lstrip()


def hold_log_lines(out: str) -> None:
    """Check each line of `logs -f`."""
    whole = schema_of(LOG_LINE)
    for line in out.splitlines():
        assert not (wrong := list(problems(json.loads(line), whole, whole))), wrong


def _hold(words: Sequence[str], verb: str | None, tree: Any) -> None:
    if verb is None and (not isinstance(tree, dict) or "error" not in tree):
        return
    if verb is not None:
        assert tree.get("schema") == schema_id(verb)
    whole = schema_of(verb or ERROR)
    wrong = list(problems(tree, whole, whole))
    assert not wrong, (
        f"`{' '.join(words)}` does not hold to its schema: {'; '.join(wrong[:8])}\n{json.dumps(tree)}"
    )
