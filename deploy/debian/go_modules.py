# SPDX-License-Identifier: Apache-2.0
"""Licence texts of what is linked into the package's programs in Go.

Which modules those are, the linker wrote into each program (`go version -m`). Their texts are in the modules
themselves, which Go fetches and compares with its checksum database.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from wheels import NotBuildable, run

TEXTS = ("licence", "license", "copying", "notice", "patents")
"""How a text's name begins in a module's first folder, in whatever case."""

STANDARD_LIBRARY = "the standard library of Go"


def texts_of(programs: Sequence[Path]) -> str:
    """All modules of *programs*, each with its texts. NotBuildable where one has none or is not to be had."""
    modules = sorted({module for program in programs for module in _modules(program)})
    folders = [(f"{path} {version}", _folder(path, version)) for path, version in modules]
    root = Path(run(["go", "env", "GOROOT"], {}).strip())
    return "\n\n".join(_stanza(name, folder) for name, folder in [(STANDARD_LIBRARY, root), *folders])


def _modules(program: Path) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in run(["go", "version", "-m", str(program)], {}).splitlines():
        kind, *words = line.split() or [""]
        if kind == "=>":  # in the place of the one before
            found[-1] = (words[0], words[1])
        elif kind == "dep":
            found.append((words[0], words[1]))
    return found


def _folder(path: str, version: str) -> Path:
    told = json.loads(run(["go", "mod", "download", "-json", f"{path}@{version}"], {}))
    return Path(told["Dir"])


def _stanza(name: str, folder: Path) -> str:
    files = sorted(
        file for file in folder.iterdir() if file.name.lower().startswith(TEXTS) and file.is_file()
    )
    if not files:
        raise NotBuildable(f"{name} has no licence text in its first folder")
    bodies = (file.read_text(errors="replace").strip() for file in files)
    return f"==== {name}\n\n" + "\n\n".join(bodies) + "\n"
