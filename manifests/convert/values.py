# SPDX-License-Identifier: Apache-2.0
"""Values of other formats in a manifest's own spelling: texts, sizes, durations, names. Pure."""

import re
import shlex
from fractions import Fraction

from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.variables.template import TemplateError, filled
from trustedpods.manifests.problem import Location
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import parse_reference

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([bkmgt]?)(?:i?b)?", re.ASCII | re.IGNORECASE)
_CORES = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,20})?|\.[0-9]{1,20}", re.ASCII)
"""Digits alone: of `1e999999999` a Fraction would write out each of its digits."""

_PIECE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(us|ms|s|m|h|d|w)", re.ASCII)
_MICROSECONDS = {
    "us": 1, "ms": 1000, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6,
    "w": 604_800 * 10**6,
}  # fmt: skip
_DIGITS = 18
"""Of a whole number: all that 64 bits hold, and Python itself refuses to read thousands."""

MIB = 1 << 20

MAX_COMMAND = 16_384
"""Letters of a command that is one text: shlex takes time by their square."""


def text_of(value: object, at: Location, found: Findings) -> str:
    """A plain value as Compose reads it, with its variables filled in. Else it is refused."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if not isinstance(value, str):
        found.refuse(at, "a text is expected here")
        return ""
    try:
        made = filled(str(value), found.variables.value)  # of YAML it may have an anchor
    except TemplateError as error:
        found.refuse(at, str(error))
        return ""
    for name in made.unset:
        found.variables.unset[name] = None
        found.refuse(at, f"${name} is not set: set it, or write `${{{name}:-}}` where nothing will do")
    for name, default in made.defaults:
        found.note(f"${name} is not set: its default is written ({default!r})")
    return made.text


def whole(value: object, at: Location, found: Findings) -> int | None:
    """A whole number, also one that a variable has; None where it is none, which is refused."""
    text = text_of(value, at, found)
    if text.isascii() and text.isdigit() and len(text) <= _DIGITS:
        return int(text)
    found.refuse(at, "a whole number is expected here")
    return None


def flag(value: object, at: Location, found: Findings) -> bool:
    """Whether *value* says yes, also by a variable, in the words of YAML that Compose takes."""
    return value is not None and text_of(value, at, found).lower() in ("true", "yes", "on", "y", "1")


def words_of(value: object, at: Location, found: Findings) -> list[str]:
    """A command: a list as it is, a text split as a shell splits words."""
    if isinstance(value, list):
        return [text_of(one, (*at, index), found) for index, one in enumerate(value)]
    text = text_of(value, at, found)
    if len(text) > MAX_COMMAND:
        found.refuse(at, f"longer than {MAX_COMMAND} letters: write it as a list")
        return []
    try:
        return shlex.split(text)
    except ValueError as error:
        found.refuse(at, f"not the words of a command ({error}): write it as a list")
        return []


def mebibytes(value: object, at: Location, found: Findings) -> str | None:
    """`1.5g` as `1536Mi`, rounded up; None where it is no size, which is refused."""
    match = _SIZE.fullmatch(text_of(value, at, found).strip())
    if match is None:
        found.refuse(at, "not a size: write 64m or 1g")
        return None
    size = Fraction(match[1]) * _UNITS[match[2].lower()]
    return f"{max(1, -(-size // MIB))}Mi"


def seconds(value: object, at: Location, found: Findings) -> int | None:
    """`1m30s` as 90, rounded up; None where it is no duration, which is refused."""
    text = text_of(value, at, found).strip()
    pieces = _PIECE.findall(text)
    if not pieces or "".join(number + unit for number, unit in pieces) != text:
        found.refuse(at, "not a duration: write 10s or 1m30s")
        return None
    total = sum((Fraction(number) * _MICROSECONDS[unit] for number, unit in pieces), Fraction(0))
    return -(-total // 10**6)


def millis(value: object, at: Location, found: Findings) -> str | None:
    """Cores as `500m`, rounded up; None where it is no number, which is refused."""
    text = text_of(value, at, found).strip()
    if _CORES.fullmatch(text) is None:
        found.refuse(at, "not a number of cores: write 0.5")
        return None
    return f"{max(1, -(-Fraction(text) * 1000 // 1))}m"


def label(text: str) -> str:
    """A name as a manifest takes it: `my_app.1` is `my-app-1`; `app` where nothing is left."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:63].strip("-") or "app"


def literal(text: str) -> str:
    """A variable's value that is not looked into: Kubernetes reads `$(NAME)` in it."""
    return text.replace("$(", "$$(")


def image_name(image: str, at: Location, found: Findings) -> str:
    """What a manifest calls an image: a registry's as it is; what is no image's name is refused."""
    kind = image.partition(":")[0]
    told = any(one.location == at for one in found.problems)  # of a variable that is not set
    if kind not in ("oci-archive", "docker-archive", "oci") and not told:
        try:
            parse_reference(image)
        except BadInput as error:
            found.refuse(at, f"{error.what}: {error.hint or 'write a shorter one'}")
    return image
