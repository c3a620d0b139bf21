# SPDX-License-Identifier: Apache-2.0
"""Running a system tool and telling what went wrong, and what is said meanwhile."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from trustedpods.protocol.errors import TrustedPodsError

DEFAULT_TIMEOUT_S = 60

Say = Callable[[str], None]
"""Takes one line for the person who waits."""


class CommandFailed(TrustedPodsError):
    """A system tool ended with an error; `what` has its own words."""

    code = "command"


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    env: dict[str, str] | None = None,
    timeout: float = DEFAULT_TIMEOUT_S,
) -> str:
    """Run *argv* and return its standard output; CommandFailed when it fails or is too slow."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(  # noqa: S603 - argv is a list of our own making, no shell
            words, input=stdin, capture_output=True, text=True, env=env, timeout=timeout, check=False
        )
    except FileNotFoundError:
        raise CommandFailed(f"{words[0]}: not installed", hint="run `make setup`") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"no answer within {timeout:g} s", where=" ".join(words)) from None
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip() or f"ended with code {done.returncode}"
        raise CommandFailed(text, where=" ".join(words[:4]))
    return done.stdout


def succeeds(argv: Sequence[str | Path]) -> bool:
    """Whether *argv* ends well; for questions and for removing what may not be there."""
    try:
        run(argv)
    except CommandFailed:
        return False
    return True
