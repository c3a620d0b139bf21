# SPDX-License-Identifier: Apache-2.0
"""A file of the operator's settings: TOML, bounded, and checked whole."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from trustedpods.protocol.errors import BadInput

S = TypeVar("S", bound=BaseModel)

MAX_CONFIG_BYTES = 64 * 1024
"""A configuration is a page of text."""


def read_settings(path: Path, kind: type[S]) -> S:
    """Read and check the file; `BadInput` names the file and the key of the first mistake."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise BadInput(f"larger than {MAX_CONFIG_BYTES} bytes", where=str(path))
        data = tomllib.loads(path.read_text())
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"not TOML: {error}", where=str(path)) from None
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise BadInput(first["msg"].removeprefix("Value error, "), where=f"{path}: {key}") from None
