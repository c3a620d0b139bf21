# SPDX-License-Identifier: Apache-2.0
"""What every part of a manifest has in common."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema, core_schema

STRICT = ConfigDict(
    frozen=True,
    extra="forbid",
    strict=True,
    alias_generator=to_camel,
    populate_by_name=True,
    defer_build=True,
)
"""Of all models of a manifest: camelCase in files, unknown fields refused, `true` no number and "8" no 8."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """Of a text that matches `pattern` whole (in ASCII); the error for another one says the `rule`."""

    pattern: str
    rule: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401 - pydantic's own
        """Checks after pydantic has seen that it is a text."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The pattern, for editors."""
        return {**handler(schema), "pattern": f"^(?:{self.pattern})$"}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text, re.ASCII) is None:
            shown = repr(text if len(text) <= MAX_WRONG_TEXT else text[:MAX_WRONG_TEXT] + "...")
            raise ValueError(f"{shown} cannot stand here: {self.rule}")
        return text


MAX_WRONG_TEXT = 80
"""Characters of a wrong text that its error repeats."""

DnsLabel = Annotated[
    str,
    Spelling(
        r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?",
        "1 to 63 lower-case letters, digits and `-`, which is neither first nor last",
    ),
]
"""A name as Kubernetes takes it for most things (RFC 1123)."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""Of TCP."""

ENV_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,254}"
EnvName = Annotated[
    str,
    Spelling(
        ENV_NAME,
        "up to 255 letters, digits, `_`, `.` and `-`, beginning with a letter or `_`",
    ),
]
FileName = Annotated[
    str,
    Spelling(
        r"(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}",
        "one name of letters, digits, `-`, `_` and `.`, which does not begin with `..`",
    ),
]
HostName = Annotated[
    str,
    Field(max_length=253),
    Spelling(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+",
        "a host name in lower case, with at least one dot, as shop.example.org",
    ),
]
AbsolutePath = Annotated[
    str,
    Spelling(
        r"/(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f:]{0,511}",
        "an absolute path without `:`, `..` and control characters, up to 512 characters",
    ),
]
Text = Annotated[
    str, Field(max_length=32 * 1024), Spelling(r"(?s:[^\x00]*)", "no program can be given a NUL")
]


class ManifestPart(BaseModel):
    """Base of every part of a manifest: camelCase in files, unknown fields refused."""

    model_config = STRICT


def not_yet(what: str) -> ValueError:
    """The error for what the format knows and this version does not do."""
    return ValueError(f"{what}: not supported yet")
