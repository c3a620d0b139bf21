# SPDX-License-Identifier: Apache-2.0
"""The provider's dependencies as wheels: exactly the files of the lock, each checked by its hash.

Three of them are published as sources only and are compiled here, once, in the same way on every machine.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lock
from packaging.utils import parse_sdist_filename, parse_wheel_filename

ROOTS = (("trusted-pods", ("provider", "postgres", "ui")),)
"""What is installed: the daemon, also where its books are in PostgreSQL, and its operator's page."""

COMPILING = {
    "CC": "gcc",  # and not what this Python was compiled with, in folders of this machine
    "LDSHARED": "gcc -shared",
    "CFLAGS": "-O2 -fPIC -g0",  # debug information would name the folder of the build
    "SOURCE_DATE_EPOCH": "1767225600",  # times in these wheels; they are kept from one commit to the next
}


class NotBuildable(Exception):
    """Why no package can be made here; the text is for people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Requirement lines with hashes, for pip: of what is published as wheels, and as sources only."""

    wheels: str
    sources: str


def requirements(hashes: str, versions: dict[str, str]) -> Wanted:
    """What pip is told of these packages. *hashes* is the text of deploy/setup/hashes.txt.

    NotBuildable for a package that it does not have.
    """
    known: dict[tuple[str, str], tuple[str, str]] = {}
    for digest, file in (line.split() for line in hashes.splitlines() if not line.startswith("#")):
        known[_of_file(file)] = (digest, file)
    lines: dict[bool, list[str]] = {True: [], False: []}
    for name, version in sorted(versions.items()):
        if (name, version) not in known:
            raise NotBuildable(f"deploy/setup/hashes.txt has no hash of {name} {version}: make it anew")
        digest, file = known[name, version]
        lines[file.endswith(".whl")].append(f"{name}=={version} --hash=sha256:{digest}\n")
    return Wanted("".join(lines[True]), "".join(lines[False]))


def installed() -> dict[str, str]:
    """Versions by name of all that `ROOTS` needs, as they are in this environment: those of the lock."""
    return lock.closure(ROOTS)


def fetched(wanted: Wanted, tools: Path, cache: Path) -> list[Path]:
    """The wheels of these packages, from *cache* where an earlier build left them.

    *tools* pins what compiles. NotBuildable says what pip said.
    """
    inputs = f"{wanted}{COMPILING}".encode() + tools.read_bytes()

    def build(folder: Path) -> None:
        _pip(wanted.wheels, folder, "--only-binary=:all:")
        compiled(wanted, tools, folder)

    folder = cache / f"provider-wheels-{hashlib.sha256(inputs).hexdigest()[:16]}"
    return sorted(kept_part(folder, build).glob("*.whl"))


def kept_part(target: Path, build: Callable[[Path], None]) -> Path:
    """The file or folder *target*, made by *build* beside its place where it is not there yet.

    Where somebody else has made it in the meantime, theirs stays.
    """
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="building-") as work:
            made = Path(work) / "made"
            build(made)
            if not target.exists():
                os.replace(made, target)
    return target


def compiled(wanted: Wanted, tools: Path, folder: Path) -> None:
    """The wheels of what is published as sources only, in *folder*."""
    # Without pip's cache: it may have wheels that were compiled with other flags.
    _pip(wanted.sources, folder, "--no-cache-dir", PIP_CONSTRAINT=str(tools), **COMPILING)


def _pip(lines: str, folder: Path, option: str, **environment: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        listed.write(lines)
        listed.flush()
        argv = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        argv += ["--require-hashes", "--requirement", listed.name, "--wheel-dir", str(folder), option]
        run(argv, environment)


def own(root: Path, folder: Path, epoch: int) -> Path:
    """The wheel of this checkout, made in *folder*; its times are *epoch*, in seconds."""
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    run(argv, {"SOURCE_DATE_EPOCH": str(epoch)}, root)
    (made,) = folder.glob("trusted_pods-*.whl")
    return made


def run(argv: Sequence[str], environment: dict[str, str], folder: Path | None = None) -> str:
    """What the program printed; NotBuildable with its last line where it failed."""
    done = subprocess.run(  # noqa: S603 - ours
        argv, cwd=folder, env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotBuildable(f"`{' '.join(argv[:3])}` failed: {' '.join(last)}")
    return done.stdout


def _of_file(file: str) -> tuple[str, str]:
    name, version = (parse_wheel_filename(file) if file.endswith(".whl") else parse_sdist_filename(file))[:2]
    return name, str(version)
