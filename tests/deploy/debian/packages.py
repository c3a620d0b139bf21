# SPDX-License-Identifier: Apache-2.0
"""The builder of the package as its command imports it, and packages with stand-ins for what is fetched."""

import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

from tests.paths import ROOT

sys.path[:0] = [str(ROOT / "deploy" / "debian"), str(ROOT / "deploy" / "setup")]

import deb  # noqa: E402
import go_modules  # noqa: E402
import metadata  # noqa: E402
import staging  # noqa: E402
import wheels  # noqa: E402

__all__ = [
    "EPOCH",
    "GO_MODULES",
    "deb",
    "go_modules",
    "later",
    "metadata",
    "older",
    "parts",
    "staging",
    "wheel",
    "wheels",
]

EPOCH = 1_790_000_000
METADATA = "Name: {name}\nVersion: 1.0\nAuthor: Somebody\nLicense-Expression: MIT\n\nText.\n"


def wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A wheel with these files and what a wheel has to have; times of today in it."""
    made = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{name}-1.0.dist-info/METADATA", METADATA.format(name=name))
    return made


GO_MODULES = "==== example.org/module v1.0.0\n\nDo what you like.\n"


def parts(folder: Path) -> "staging.Parts":
    """Our own wheel, one dependency, and a script each for the programs in Go."""
    folder.mkdir(parents=True)
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    dependency = wheel(folder, "some", {"some/__init__.py": "", "docs/Makefile": "all:\n"})
    own = wheels.own(ROOT, folder / "own", EPOCH)
    return staging.Parts((dependency, own), program, program, program, GO_MODULES, EPOCH)


def field(package: Path, name: str) -> str:
    """Of the control file, as dpkg reads it."""
    argv = ["dpkg-deb", "--field", str(package), name]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


UNPACKED = ("-Znone",)
"""Compression that costs no time: of packages that stay on this machine."""

MIGRATION = """\
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pods", sa.Column("of_a_later_version", sa.String))
"""


OLDER = "4e24f73dcf14e5f7086f06d5bc535a516f8a2f74"
"""The commit that upgrades begin from: the newest with schema 0019. Move it on to a newer one once clients of
today do not understand that daemon any more, never so far that no migration is behind it."""


class NoHistory(Exception):
    """The commit is not in this clone."""


def older(parts: "staging.Parts", folder: Path) -> tuple[Path, str]:
    """The package as it was at `OLDER`, and its schema. Dependencies and programs in Go are those of *parts*.

    NoHistory in a shallow clone: nothing else is as good as what was really released.
    """
    archive = subprocess.run(["git", "archive", OLDER], cwd=ROOT, check=False, capture_output=True)
    if archive.returncode:
        told = archive.stderr.decode().strip()
        raise NoHistory(f"{OLDER} is not in this clone (git fetch --unshallow): {told}")
    root = folder / "checkout"
    root.mkdir()
    subprocess.run(["tar", "--extract", "--directory", str(root)], input=archive.stdout, check=True)
    return _package(root, parts, folder), metadata.newest_schema(root)


def later(parts: "staging.Parts", version: str, folder: Path, than: str | None = None) -> tuple[Path, str]:
    """The package of this checkout, called *version*; and its schema, which is newer than *than*.

    Where this checkout's own is not, or *than* is not given, it has one migration more, which adds a column.
    """
    root, newest = folder / "checkout", metadata.newest_schema(ROOT)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    root.mkdir()
    packed = ["tar", "--create", "--null", "--files-from=-"]
    files = subprocess.run(packed, input=listed, cwd=ROOT, check=True, capture_output=True).stdout
    subprocess.run(["tar", "--extract", "--directory", str(root)], input=files, check=True)
    if than is None or newest <= than:
        before, newest = newest, f"{int(newest) + 1:04}"
        script = root / "provider/store/migrations/versions" / f"{newest}_later.py"
        script.write_text(MIGRATION.format(number=newest, before=before))
    project = root / "pyproject.toml"
    text, count = re.subn(r'(?m)^version = ".*"$', f'version = "{version}"', project.read_text())
    assert count == 1
    project.write_text(text)
    return _package(root, parts, folder), newest


def _package(root: Path, parts: "staging.Parts", folder: Path) -> Path:
    """With the wheel of *root* in place of ours."""
    own = wheels.own(root, folder / "own", parts.epoch)
    dependencies = [one for one in parts.wheels if not one.name.startswith("trusted_pods-")]
    out = folder / "out"
    out.mkdir()
    return deb.package(root, replace(parts, wheels=(*dependencies, own)), out, UNPACKED)
