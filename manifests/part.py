# SPDX-License-Identifier: Apache-2.0
"""What every part of a manifest has in common."""

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

STRICT = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
"""Of all models of a manifest: camelCase in files, unknown fields refused."""


def not_yet(what: str) -> ValueError:
    """The error for what the format knows and this version does not do."""
    return ValueError(f"{what}: not supported yet")
