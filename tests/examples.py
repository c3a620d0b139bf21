# SPDX-License-Identifier: Apache-2.0
"""How many examples hypothesis draws: a few in `make check`, all of them in `make test` and by hand."""

import os

FEW = os.environ.get("EXAMPLES") == "few"
PART = 4


def examples(whole: int, few: int | None = None) -> int:
    """*whole*; where only a few are drawn *few*, or a part of it."""
    part = max(1, whole // PART) if few is None else few
    return part if FEW else whole
