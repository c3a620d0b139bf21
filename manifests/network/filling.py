# SPDX-License-Identifier: Apache-2.0
"""Values in a template: `${values.NAME}`, `${self.NAME}`, `${shared.FILE}`, `${external.NODE.NAME}`. Pure.

They are put into the texts of the parsed document and never into its text, so no value opens a list, ends
a quote or begins a comment, and every part keeps the line that it has in the template. A text that is one
reference and nothing else takes the value with its type: `replicas: ${values.count}` is a number. `$${...}`
stands for `${...}` itself; what begins otherwise is left alone, as `${node.` is for whoever renders files
at the provider. Why no template engine: docs/adr/0008-values-of-a-template.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from trustedpods.manifests.problem import Location, Problem
from trustedpods.protocol.limits import MAX_MANIFEST_JSON

Scalar: TypeAlias = "str | int | bool"

MAX_FILLED: Final = MAX_MANIFEST_JSON
"""Characters of all texts of a filled template: a manifest that has more is refused in any case."""

MAX_NAMES_TOLD: Final = 12
"""Names that an error about another one lists."""

_REFERENCE: Final = re.compile(r"(\$?)\$\{((?:values|self|shared|external)\.[^}\n]{0,128})(\}?)")


@dataclass(slots=True)
class Filled:
    """A template with its values in it; `used` are the names that it asked for, also unknown ones."""

    tree: object
    problems: list[Problem]
    used: set[str]


def filled(tree: object, names: Mapping[str, Scalar]) -> Filled:
    """*tree*, in plain types, with what *names* (`values.port`, ...) has for its references."""
    filling = _Filling(names)
    return Filled(filling.part(tree, ()), filling.problems, filling.used)


@dataclass(slots=True)
class _Filling:
    names: Mapping[str, Scalar]
    problems: list[Problem] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    left: int = MAX_FILLED

    def part(self, node: object, at: Location) -> object:
        if isinstance(node, dict):
            for key in node:
                if isinstance(key, str) and any(not found[1] for found in _REFERENCE.finditer(key)):
                    self._wrong((*at, key), "a key cannot be a reference: fill in what stands behind it")
            return {key: self.part(value, (*at, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [self.part(value, (*at, index)) for index, value in enumerate(node)]
        return self._text(node, at) if isinstance(node, str) else node

    def _text(self, text: str, at: Location) -> Scalar:
        whole = _REFERENCE.fullmatch(text)
        if whole is not None and not whole[1]:
            value = self._value(whole, at)
            return "" if self._over(_written(value), at) else value
        made, end = [], 0
        for found in _REFERENCE.finditer(text):
            put = found[0][1:] if found[1] else _written(self._value(found, at))
            made += [text[end : found.start()], put]
            end = found.end()
            if self._over(put, at):
                return ""
        return "" if self._over(text[end:], at) else "".join([*made, text[end:]])

    def _over(self, put: str, at: Location) -> bool:
        """Whether *put* is more than a manifest can have, with all before it; it is told once."""
        before, self.left = self.left, self.left - len(put)
        if before >= 0 > self.left:
            self._wrong(at, f"with its values the template has more than {MAX_FILLED // 1024} KiB")
        return self.left < 0

    def _value(self, found: re.Match[str], at: Location) -> Scalar:
        name = found[2]
        self.used.add(name)
        if not found[3]:
            self._wrong(
                at, f"{found[0][:80]!r} has no end: write `}}` behind the name, or `$$` to mean the text"
            )
        elif name not in self.names:
            self._wrong(at, f"nothing is called {name!r}{self._known(name.partition('.')[0])}")
        else:
            return self.names[name]
        return ""

    def _known(self, kind: str) -> str:
        known = sorted(name for name in self.names if name.startswith(f"{kind}."))
        more = ", ..." if len(known) > MAX_NAMES_TOLD else ""
        return f"; there are: {', '.join(known[:MAX_NAMES_TOLD])}{more}" if known else ""

    def _wrong(self, at: Location, text: str) -> None:
        self.problems.append(Problem(at, text))


def _written(value: Scalar) -> str:
    """A value in the middle of a text, as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
