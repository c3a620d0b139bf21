# SPDX-License-Identifier: Apache-2.0
"""JSON as the programs that pull images read it: Go's way of matching names, without its tolerance.

Go's `encoding/json` matches names without regard to case and lets the last of two win. A reader that
sees only the exact name would check one value while the node uses another, so such a document is refused.
"""

import json
import re
from typing import Any, NoReturn

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import MIB

MAX_JSON = 4 * MIB
"""The bound that registries set for manifests; real documents have a few KiB."""

MAX_DEPTH = 64
"""Of lists and objects in each other; an image's documents have five."""

_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[][{}]', re.DOTALL)
"""A bracket, or a whole text, in which brackets mean nothing."""


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in *data*; BadInput, naming *what*, where it is none or could be read in two ways."""
    if len(data) > MAX_JSON:
        raise BadInput(f"{what} has {len(data)} bytes; the bound is {MAX_JSON}")
    check_depth(data, what)
    try:
        tree = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise BadInput(f"damaged: {what} is not JSON") from None
    if not isinstance(tree, dict):
        raise BadInput(f"damaged: {what} is not a JSON object")
    return tree


def check_depth(data: bytes, what: str) -> None:
    """BadInput where lists and objects stand too deep in each other: CPython's parser recurses."""
    depth = deepest = 0
    for found in _BRACKET.finditer(data):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(found[0], 0)
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise BadInput(f"damaged: {what} is nested deeper than {MAX_DEPTH}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len({name.casefold() for name in made}) != len(pairs):
        twice = sorted(name for name, _ in pairs)
        raise BadInput(f"damaged: a JSON object names a field twice: {', '.join(twice)[:200]}")
    return made


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def exact(tree: dict[str, Any], allowed: frozenset[str], what: str) -> None:
    """BadInput where *tree* has a field that is not *allowed*; one without a value says nothing."""
    for name, value in tree.items():
        if name not in allowed and value not in (None, [], {}, ""):
            raise BadInput(f"{what} has the field {name[:64]!r}, which no image needs")


def spelt_right(tree: dict[str, Any], known: frozenset[str], what: str) -> None:
    """BadInput where a field of *tree* differs from a *known* one only in the case of its letters."""
    folded = {name.casefold(): name for name in known}
    for name in tree:
        if folded.get(name.casefold(), name) != name:
            raise BadInput(f"{what} has the field {name[:64]!r} for {folded[name.casefold()]!r}")
