#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the exact versions of everything that the project needs, as installed now; then their files' hashes.

    .venv/bin/python deploy/setup/lock.py > deploy/setup/requirements.txt
    .venv/bin/python deploy/setup/lock.py hashes > deploy/setup/hashes.txt

The second asks pip which file it would install for each line of the first, here and with this Python: it
downloads little and installs nothing. Run both after raising a version in pyproject.toml and reinstalling.
What happens to be installed beside (a debugger, another project) is left out.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).with_name("requirements.txt")
ROOTS = (("trusted-pods", ("dev",)), ("hatchling", ()))


def closure(roots: Iterable[tuple[str, tuple[str, ...]]]) -> dict[str, str]:
    """Versions by name of all that *roots* need, directly or not, without our own package.

    A root is the name of a project, and its extras that count.
    """
    versions: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    waiting = [(name, set(extras)) for name, extras in roots]
    while waiting:
        name, extras = waiting.pop()
        key = canonicalize_name(name)
        if key in seen and extras <= seen[key]:
            continue
        seen.setdefault(key, set()).update(extras)
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another system or Python
            continue
        versions[key] = found.version
        for text in found.requires or []:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ["", *extras]):
                waiting.append((requirement.name, set(requirement.extras)))
    versions.pop("trusted-pods", None)
    return versions


def hashes() -> list[str]:
    """A line for each file that pip would install of the lock: its SHA-256, and its name."""
    argv = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
    argv += ["--report", "-", "--requirement", str(LOCK)]
    index_only = {name: value for name, value in os.environ.items() if name != "PIP_FIND_LINKS"}
    done = subprocess.run(  # noqa: S603 - pip
        argv, check=True, stdout=subprocess.PIPE, env=index_only
    )
    files = [one["download_info"] for one in json.loads(done.stdout)["install"]]
    return sorted(
        (f"{one['archive_info']['hashes']['sha256']}  {one['url'].rpartition('/')[2]}" for one in files),
        key=lambda line: line.split()[1].lower(),
    )


HEAD = "# SPDX-License-Identifier: Apache-2.0\n# Made by deploy/setup/lock.py\n"

if __name__ == "__main__":
    versions = [f"{name}=={version}" for name, version in sorted(closure(ROOTS).items())]
    sys.stdout.write(HEAD + "\n".join(hashes() if sys.argv[1:] == ["hashes"] else versions) + "\n")
