# SPDX-License-Identifier: Apache-2.0
"""What every part of a manifest has in common."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

STRICT = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)
"""Of all models of a manifest: camelCase in files, unknown fields refused."""

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""A name as Kubernetes takes it for most things (RFC 1123)."""

Port = Annotated[int, Field(ge=1, le=65535)]
"""Of TCP."""


def not_yet(what: str) -> ValueError:
    """The error for what the format knows and this version does not do."""
    return ValueError(f"{what}: not supported yet")
