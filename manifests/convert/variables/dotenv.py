# SPDX-License-Identifier: Apache-2.0
"""Files of variables (`.env`, `env_file`) as Compose reads them. Pure.

Source of the format: Docker's "Syntax for environment files in Docker Compose".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.manifests.convert.variables.template import Lookup, NoTemplate, TemplateError, filled
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.limits import KIB

MAX_VALUES = 256 * KIB
"""Letters of all values of a file: a few lines that name each other would double without end."""

_START = re.compile(r"(?:\s|\#[^\n]*+)*+")
_NAME = re.compile(r"(?:export[ \t]++)?+(?P<name>[A-Za-z0-9_.-]++)[ \t]*+(?P<sign>[=:]?+)")
_BLANK = re.compile(r"[ \t]*+")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL),
    "'": re.compile(r"'((?:[^'\\]|\\.)*+)'", re.DOTALL),
}
_LINE = re.compile(r"[^\n]*+")
_COMMENT = re.compile(r"(?:^|[ \t])#")
_END = re.compile(r"[ \t\r]*+(?:\#[^\n]*+)?+(?=\n|\Z)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_SHOWN = 24
"""Letters of a line that is wrong: enough to find it, too few to tell a secret's whole length."""


@dataclass(frozen=True, slots=True)
class Dotenv:
    """What a file sets, and names that it uses without their being set: they are nothing there."""

    values: Mapping[str, str]
    unset: tuple[str, ...]


def read_dotenv(text: str, where: str, outer: Lookup) -> Dotenv:
    """The variables of a file's *text*; *outer* has those that it may use, and that it names without a value.

    A value in double quotes may hold escapes and variables, one in single quotes is taken as it is, one
    without ends at ` #`. Raises `BadInput` with *where* and the line for what is no variable.
    """
    values: dict[str, str] = {}
    unset: dict[str, None] = {}
    left = MAX_VALUES

    def look(name: str) -> str | None:
        return values[name] if name in values else outer(name)

    at = _start(text, 0)
    while at < len(text):
        name = _NAME.match(text, at)
        if name is None:
            raise _wrong(text, at, where, "write NAME=value")
        after = name.end()
        if name["sign"]:
            raw, template, after = _value(text, after, where)
            try:
                values[name["name"]] = raw if template is None else _with_values(raw, template, look, unset)
            except TemplateError as wrong:
                line = text.count("\n", 0, at) + 1
                raise BadInput(f"{name['name']}: {wrong}", where=f"{where}:{line}") from None
        elif (value := outer(name["name"])) is not None:
            values[name["name"]] = value
        left -= len(values.get(name["name"], ""))
        if left < 0:
            raise BadInput(f"its values have more than {MAX_VALUES // KIB} KiB", where=where)
        end = _END.match(text, after)
        if end is None:
            raise _wrong(text, at, where, "write NAME=value; put a value with quotes inside in single ones")
        at = _start(text, end.end())
    return Dotenv(values, tuple(unset))


def _start(text: str, at: int) -> int:
    match = _START.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int, where: str) -> tuple[str, str | None, int]:
    """A value that begins at *at*, as a template if variables in it count, and where it ends."""
    blank = _BLANK.match(text, at)
    begin = blank.end() if blank else at
    quote = text[begin : begin + 1]
    if quote in _QUOTED:
        match = _QUOTED[quote].match(text, begin)
        if match is None:
            line_begins = text.rfind("\n", 0, at) + 1
            raise _wrong(text, line_begins, where, f"the {quote} is not closed")
        if quote == "'":
            return match[1].replace("\\'", "'"), None, match.end()
        plain, template = (_unescaped(match[1], dollar) for dollar in ("$", "$$"))
        return plain, template, match.end()
    line = _LINE.match(text, at)
    raw = line[0] if line else ""
    plain = _COMMENT.split(raw, maxsplit=1)[0].strip()
    return plain, plain, at + len(raw)


def _unescaped(quoted: str, dollar: str) -> str:
    """What stands in double quotes, with *dollar* for one that is escaped."""
    return _ESCAPE.sub(lambda one: dollar if one[1] == "$" else _ESCAPES.get(one[1], one[1]), quoted)


def _with_values(raw: str, template: str, look: Lookup, unset: dict[str, None]) -> str:
    """*template* filled in; *raw* where it is none, as passwords with a `$` are not.

    Raises `TemplateError` for what a template demands and nobody set, and where it becomes too long.
    """
    try:
        made = filled(template, look)
    except NoTemplate:
        return raw
    unset.update(dict.fromkeys(made.unset))
    return made.text


def _wrong(text: str, at: int, where: str, advice: str) -> BadInput:
    line = text.count("\n", 0, at) + 1
    shown = text[at:].partition("\n")[0].partition("=")[0][:_SHOWN]
    return BadInput(f"not a variable: {shown!r}", where=f"{where}:{line}", hint=advice)
