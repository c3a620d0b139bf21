# SPDX-License-Identifier: Apache-2.0
"""Small files with what was found in a layer, so that it need not be read again."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

FORM = 1
"""Of what is kept: another one is read anew."""


def kept(file: Path) -> dict[str, Any] | None:
    """What an earlier run kept there; None for whatever is not exactly such a file."""
    try:
        tree = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return None
    return tree if isinstance(tree, dict) and tree.get("form") == FORM else None


def keep(file: Path, found: dict[str, Any]) -> None:
    """Whole or not at all; where nothing can be kept the next run reads again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
            json.dump({"form": FORM, **found}, new)
        os.replace(new.name, file)
    except OSError:
        return
