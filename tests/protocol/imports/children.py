# SPDX-License-Identifier: Apache-2.0
"""Code in a process of its own: the one of the tests has imported much."""

import subprocess
import sys


def said_by(code: str) -> list[str]:
    """The words that Python prints of *code*."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout.split()
