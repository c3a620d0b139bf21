# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a manifest, and where."""

from dataclasses import dataclass

Location = tuple[str | int, ...]
"""Path to a field, as in pydantic's errors: ("spec", "containers", 0, "image")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    location: Location
    text: str
