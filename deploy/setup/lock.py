#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints the exact versions of everything that the project needs, as installed now.

    .venv/bin/python deploy/setup/lock.py > deploy/setup/requirements.txt

Run it after raising a version in pyproject.toml and reinstalling. What happens to be installed
beside (a debugger, another project) is left out.
"""

import sys
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOTS = (("trusted-pods", ("dev",)), ("hatchling", ()))


def closure() -> dict[str, str]:
    """Versions by name of all that the roots need, directly or not, without our own package."""
    versions: dict[str, str] = {}
    seen: dict[str, set[str]] = {}
    waiting = [(name, set(extras)) for name, extras in ROOTS]
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


if __name__ == "__main__":
    sys.stdout.write("# SPDX-License-Identifier: Apache-2.0\n# Made by deploy/setup/lock.py\n")
    for name, version in sorted(closure().items()):
        sys.stdout.write(f"{name}=={version}\n")
