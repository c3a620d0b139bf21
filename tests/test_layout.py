# SPDX-License-Identifier: Apache-2.0
"""The house's own rules: what the tools do not check."""

import ast
import re
import subprocess
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests import conftest
from tests.paths import ROOT

SOURCE_SUFFIXES = {".py", ".sol", ".go", ".sh"}


@cache
def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout
    return [ROOT / name for name in listed.split("\0") if name]


def rooms() -> dict[str, str]:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    sources: dict[str, str] = config["tool"]["hatch"]["build"]["targets"]["wheel"]["sources"]
    return sources


def test_the_wheel_and_the_editable_view_hold_the_same_rooms() -> None:
    links = {link.name: link.resolve() for link in (ROOT / "build/view/trustedpods").iterdir()}
    wheel = {Path(target).name: (ROOT / source).resolve() for source, target in rooms().items()}
    assert links == wheel


def test_every_package_opens_with_its_charter() -> None:
    for source in rooms():
        for init in (ROOT / source).rglob("__init__.py"):
            if "node_modules" in init.parts:
                continue
            charter = ast.get_docstring(ast.parse(init.read_text())) or ""
            assert len(charter.split()) >= 12, f"{init} does not say what the room is for"


def test_every_source_file_names_its_licence() -> None:
    missing = [
        path.relative_to(ROOT)
        for path in tracked()
        if path.suffix in SOURCE_SUFFIXES and not path.is_symlink() and path.is_file()
        if "SPDX-License-Identifier" not in path.read_text(errors="replace")[:400]
    ]
    assert missing == []


def test_no_file_is_longer_than_a_reader_can_hold() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in tracked()
        if path.suffix == ".py" and not path.is_symlink() and path.is_file()
        if (lines := path.read_text().count("\n")) > 400
    }
    assert long == {}


def test_nothing_at_the_top_that_a_stranger_would_not_expect() -> None:
    expected = {
        "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "NOTICE", "Makefile",
        "pyproject.toml", "mkdocs.yml", ".gitignore", ".importlinter", ".ci", "docs", "publisher", "provider",
        "hatch_build.py", "contracts", "protocol", "manifests", "deploy", "tests", "findings",
    }  # fmt: skip
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} <= expected


MOST_MODULES = 12
"""What a reader takes in at a glance; `__init__` and the store's migrations do not count."""


def test_no_folder_holds_more_modules_than_fit_a_glance() -> None:
    folders = Counter(
        path.parent.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py" and path.name != "__init__.py" and path.is_file()
        if "migrations" not in path.parts
    )
    assert {folder: count for folder, count in folders.items() if count > MOST_MODULES} == {}


SHARED_ROOMS = ("protocol/", "contracts/", "manifests/")


@cache
def type_names(path: Path) -> set[str]:
    """Classes of a module, and names that it gives to types."""
    tree = ast.parse(path.read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(target := node.targets[0], ast.Name):
            names |= {target.id} if re.fullmatch(r"([A-Z][a-z0-9]+)+", target.id) else set()
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("part", ["provider/", "publisher/", "deploy/localnet/"])
def test_one_type_name_has_one_meaning(part: str) -> None:
    found: dict[str, list[str]] = {}
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if path.suffix == ".py" and path.is_file() and name.startswith((part, *SHARED_ROOMS)):
            for kind in type_names(path):
                found.setdefault(kind, []).append(name)
    assert {kind: files for kind, files in found.items() if len(files) > 1} == {}


def test_no_link_is_committed() -> None:
    assert [path for path in tracked() if path.is_symlink()] == []


def test_files_that_share_a_worker_or_run_first_are_there() -> None:
    shared, first = conftest.SHARED, conftest.LONG_FIRST
    files = {*shared, *(name for name in first if name not in shared.values())}
    assert [name for name in files if not (ROOT / name).is_file()] == []


CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]+\Z")


def constants_set(source: str) -> list[str]:
    """Constants of modules that a test sets: a limit is handed in, so that two tests can have two."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called in {"setattr", "patch", "object"}:
                names = [text for part in node.args for text in _ends(part)]
                found += [name for name in names if CONSTANT.match(name)]
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Attribute) and CONSTANT.match(target.attr):
                    found.append(target.attr)
    return found


def _ends(part: ast.expr) -> list[str]:
    """What a text that names something may end with; of a made one nobody knows, so it counts."""
    if isinstance(part, ast.Constant) and isinstance(part.value, str):
        return [part.value.rpartition(".")[2]]
    return ["MADE"] if isinstance(part, ast.JoinedStr) else []


def test_no_test_sets_a_constant() -> None:
    found = {
        str(path.relative_to(ROOT)): names
        for path in tracked()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "tests") and path.is_file()
        if (names := constants_set(path.read_text()))
    }
    assert found == {}, "hand the limit in: a value with a default, as `ClientLimits` or `Timing`"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ('monkeypatch.setattr(door, "LIMIT_S", 0.3)', ["LIMIT_S"]),
        ('monkeypatch.setattr("a.b.c._PAUSE_S", 1)', ["_PAUSE_S"]),
        ('setattr(door, f"{name}", 1)', ["MADE"]),
        ("door.LIMIT_S = 1", ["LIMIT_S"]),
        ('mock.patch.object(door, "LIMIT_S", 1)', ["LIMIT_S"]),
        ('monkeypatch.setattr(os, "fsync", full)', []),
        ('monkeypatch.setenv("HOME", "/")', []),
        ("LIMIT_S = 1", []),
    ],
)
def test_what_counts_as_setting_a_constant(source: str, seen: list[str]) -> None:
    assert constants_set(source) == seen
