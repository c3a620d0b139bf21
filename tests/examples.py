# SPDX-License-Identifier: Apache-2.0
"""How many examples are tried: a few in `make check`, all of them in `make test` and by hand."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

FEW = os.environ.get("EXAMPLES") == "few"
PART = 8


def examples(whole: int, few: int | None = None) -> int:
    """*whole*; where only a few are drawn *few*, or a part of it."""
    part = max(2, whole // PART) if few is None else few
    return part if FEW else whole


def some(whole: Sequence[T]) -> Sequence[T]:
    """*whole*, a table that says every case there is; where only a few are tried, an even part of it."""
    return whole[::PART] if FEW else whole
