# SPDX-License-Identifier: Apache-2.0
"""A text with variables, filled in as Compose does it: one pass, in time by its length. Pure.

Source of the format: the Compose specification, "interpolation".
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from trustedpods.protocol.limits import KIB

Lookup = Callable[[str], str | None]
"""The value of a variable; None where it is not set."""

MAX_NESTED = 16
"""Variables inside the default of another: people write two or three."""

MAX_FILLED = 128 * KIB
"""Letters of a text once it is filled: a manifest has hardly more in all, and a short text may name a long
variable a thousand times."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SIGN = re.compile(r":?[-?+]")
_PLAIN = re.compile(r"[^$]+")
_PLAIN_INSIDE = re.compile(r"[^$}]+")


class TemplateError(Exception):
    """The text is none that Compose takes; the message says why, and what to write."""


class NoTemplate(TemplateError):
    """A `$` in it begins no variable."""


@dataclass(frozen=True, slots=True)
class FilledText:
    """A text without variables, and what a person should know of those that were in it."""

    text: str
    unset: tuple[str, ...]
    """Names without a value and without a default: each is nothing in the text."""
    defaults: tuple[tuple[str, str], ...]
    """Names whose default was taken, and that default."""


def filled(text: str, lookup: Lookup) -> FilledText:
    """*text* with the values that *lookup* has.

    `$NAME` and `${NAME}` are the value; `${NAME:-x}` and `${NAME-x}` a default, `${NAME:+x}` and `${NAME+x}`
    a replacement, `${NAME:?x}` and `${NAME?x}` a demand, where the colon counts an empty value as not set;
    each `x` may hold variables itself. `$$` is a dollar sign. Raises `TemplateError` for any other `$`, for
    a demand that is not met, and for what is nested too deep or becomes too long.
    """
    if "$" not in text:
        return FilledText(text, (), ())
    scanner = _Scanner(text, lookup)
    return FilledText(scanner.rest(0, used=True), tuple(scanner.unset), tuple(scanner.defaults.items()))


@dataclass(slots=True)
class _Scanner:
    """Reads a text from left to right, each letter once."""

    text: str
    lookup: Lookup
    unset: dict[str, None] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    _at: int = 0
    _left: int = MAX_FILLED

    def rest(self, depth: int, *, used: bool) -> str:
        """All up to the end, or to the brace that closes the variable around; *used* is what counts."""
        if depth > MAX_NESTED:
            raise TemplateError(f"variables are nested deeper than {MAX_NESTED}")
        plain = _PLAIN_INSIDE if depth else _PLAIN
        pieces: list[str] = []
        while self._at < len(self.text):
            if (match := plain.match(self.text, self._at)) is not None:
                self._at = match.end()
                pieces.append(match[0])
            elif self.text[self._at] == "}":
                break
            else:
                pieces.append(self._variable(depth, used=used))
        return "".join(pieces)

    def _variable(self, depth: int, *, used: bool) -> str:
        self._at += 1
        if self._takes("$"):
            return "$"
        braced = self._takes("{")
        name = _NAME.match(self.text, self._at)
        if name is None:
            raise NoTemplate("`$` begins a variable here: write `$$` for a dollar sign")
        self._at = name.end()
        if not braced:
            return self._value(name[0], used=used)
        sign = _SIGN.match(self.text, self._at)
        self._at = sign.end() if sign else self._at
        made = self._with_sign(name[0], sign[0], depth, used=used) if sign else None
        if not self._takes("}"):
            raise NoTemplate(f"`${{{name[0]}` is not closed: write `${{{name[0]}}}`, or `$$` for a dollar")
        return self._value(name[0], used=used) if made is None else made

    def _with_sign(self, name: str, sign: str, depth: int, *, used: bool) -> str:
        value = self.lookup(name) if used else None
        given = value is not None and (value != "" or sign[0] != ":")
        other = self.rest(depth + 1, used=used and given == sign.endswith("+"))
        if not used:
            return ""
        if sign.endswith("+"):
            return other if given else ""
        if given:
            return self._counted(value or "")
        if sign.endswith("?"):
            raise TemplateError(f"${name} is not set" + (f": {other}" if other else ""))
        self.defaults[name] = other
        return other

    def _value(self, name: str, *, used: bool) -> str:
        if not used:
            return ""
        value = self.lookup(name)
        if value is None:
            self.unset[name] = None
        return self._counted(value or "")

    def _counted(self, value: str) -> str:
        self._left -= len(value)
        if self._left < 0:
            raise TemplateError(
                f"it becomes longer than {MAX_FILLED // KIB} KiB with its variables filled in"
            )
        return value

    def _takes(self, letter: str) -> bool:
        found = self.text.startswith(letter, self._at)
        self._at += found
        return found
