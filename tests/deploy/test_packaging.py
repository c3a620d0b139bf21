# SPDX-License-Identifier: Apache-2.0
"""What a wheel holds, and what it asks for: a client installs no Kubernetes and no database."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT
from tests.test_layout import rooms, tracked

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = {
    "protocol": ("ui",),
    "provider": ("provider", "ui"),
    "publisher": ("s3", "ui"),
    "deploy/localnet": ("provider",),
    "deploy/guest": ("provider",),
}
"""The extra that a room's imports may come from; every other room is the client's."""

DEVELOPMENT = {
    "contracts/compile.py": {"solcx"},
    "provider": {"trio_typing"},
}
"""Imports that run with the development extra only: the compiler of the contracts, and types."""

DATA = (
    r"contracts/abi/\w+\.json",
    r"protocol/attestation/releases/measurements\.json",
    r"protocol/attestation/snp/roots/(README\.md|\w+\.pem)",
    r"\w+/py\.typed",
    r"protocol/local_page/(static|templates)/\w+\.\w+",
    r"(provider|publisher)/page/templates/\w+\.html",
)
"""Files of a wheel that are no modules: contracts' ABI, AMD's roots, and the mark of typed packages."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


MANUAL = ".data/data/share/man/man1/"

EXAMPLES = "manifests/examples/"
"""Shipped with the source: scripts among them are run from a checkout."""


def test_a_wheel_holds_the_rooms_modules_and_nothing_foreign(wheel: zipfile.ZipFile) -> None:
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name and MANUAL not in name}
    modules = {name for name in inside if name.endswith(".py")}
    expected = set()
    for source, target in rooms().items():
        names = [path.relative_to(ROOT).as_posix() for path in tracked() if path.suffix == ".py"]
        mine = [name for name in names if name.startswith(f"{source}/") and not name.startswith(EXAMPLES)]
        expected |= {target + name.removeprefix(source) for name in mine}
    assert modules == expected
    foreign = [
        name
        for name in inside - modules
        if not any(re.fullmatch(f"trustedpods/{form}", name) for form in DATA)
    ]
    assert foreign == []


def test_a_wheel_holds_a_man_page_for_each_verb(wheel: zipfile.ZipFile) -> None:
    found = {name.partition(MANUAL)[2] for name in wheel.namelist() if MANUAL in name}
    assert found == {path.name for path in (ROOT / "docs/man").iterdir()}


def test_a_client_asks_for_no_cluster_and_no_database(wheel: zipfile.ZipFile) -> None:
    (metadata,) = [name for name in wheel.namelist() if name.endswith("/METADATA")]
    lines = re.findall(r"^Requires-Dist: (.*)$", wheel.read(metadata).decode(), re.MULTILINE)
    wanted = [Requirement(line) for line in lines]
    client = {one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})}
    assert client & {"web3", "kubernetes", "sqlalchemy", "alembic", "prometheus-client", "pytest"} == set()
    assert {"libp2p", "eth-abi", "cryptography", "click"} <= client


@pytest.mark.parametrize("room", sorted(rooms()))
def test_what_a_room_imports_is_declared_for_whoever_installs_it(room: str) -> None:
    declared = _names(PROJECT["dependencies"])
    for extra in EXTRAS.get(room, ()):
        declared |= _names(PROJECT["optional-dependencies"][extra])
    owners = _owners()
    undeclared = {
        (file, module)
        for file, module in _imports(room)
        if module not in DEVELOPMENT.get(file, set()) | DEVELOPMENT.get(room, set())
        if not declared & {canonicalize_name(name) for name in owners.get(module, [])}
    }
    assert undeclared == set()


def test_what_is_declared_is_imported() -> None:
    everywhere = {module for room in rooms() for _, module in _imports(room)}
    owners = _owners()
    used = {canonicalize_name(name) for module in everywhere for name in owners.get(module, [])}
    extras = PROJECT["optional-dependencies"]
    wanted = _names([*PROJECT["dependencies"], *extras["provider"], *extras["s3"], *extras["ui"]])
    assert wanted - used == set()


def _names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


@cache
def _owners() -> Mapping[str, list[str]]:
    """Which projects each importable name is of: looked up in every installed one."""
    return packages_distributions()


def _imports(room: str) -> Iterator[tuple[str, str]]:
    """Each file of a room with what it imports of other projects."""
    for path in tracked():
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(f"{room}/") or path.suffix != ".py":
            continue
        for module in _modules(path):
            if module not in {*sys.stdlib_module_names, "trustedpods", "_typeshed"}:
                yield name, module


@cache
def _modules(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found
