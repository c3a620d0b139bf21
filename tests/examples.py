# SPDX-License-Identifier: Apache-2.0
"""How many examples hypothesis draws: a few in `make check`, all of them in `make test` and by hand."""

import os

FEW = os.environ.get("EXAMPLES") == "few"
PART = 4


def examples(whole: int) -> int:
    """*whole*, or a part of it where only a few are drawn."""
    return max(1, whole // PART) if FEW else whole
