# SPDX-License-Identifier: Apache-2.0
"""`.importlinter` refuses what it is there to refuse, shown on a copy of the tree that breaks every rule.

Each layer gets one import of the layer above it, each room one of its neighbour in the same layer, and each
container a module that stands in no layer. One run of the linter must name every one of them.
"""

import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture import LayersContract, layers_contracts
from tests.paths import ROOT

DAEMONS = {"trustedpods.provider", "trustedpods.publisher"}

LINT = """
import sys
from pathlib import Path
sys.path[:] = [".", *(p for p in sys.path if p and not (Path(p) / "trustedpods").is_dir())]
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True))
"""
"""The linter on the copy alone: two folders that both hold the namespace package would be read as one."""


def copy_tree(to: Path) -> None:
    shutil.copy(ROOT / ".importlinter", to)
    for room in (ROOT / "build/view/trustedpods").iterdir():
        for source in room.resolve().rglob("*.py"):
            if "node_modules" not in source.parts:
                copy = to / "trustedpods" / room.name / source.relative_to(room.resolve())
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)


def lint(tree: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=tree,
        env={**os.environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def wrong_imports(contract: LayersContract) -> list[tuple[str, str]]:
    """(importer, imported): each room into the layer above, and into its neighbour in the same layer."""
    up = [(room, above[0]) for above, layer in pairwise(contract.layers) for room in layer]
    aside = [pair for layer in contract.layers for pair in pairwise(layer)]
    return [(f"{contract.container}.{a}", f"{contract.container}.{b}") for a, b in [*up, *aside]]


def add_import(tree: Path, importer: str, imported: str) -> str:
    """Write the import where it can be written; says which module has it now."""
    place = tree / importer.replace(".", "/")
    if place.is_dir():
        place, importer = place / "wrong", f"{importer}.wrong"
    with place.with_suffix(".py").open("a") as file:
        file.write(f"\nimport {imported}\n")
    return importer


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[tuple[str, str]], str]:
    """The imports that were put in, and what the linter says of the tree."""
    tree = tmp_path_factory.mktemp("broken")
    copy_tree(tree)
    made = []
    for contract in layers_contracts():
        (tree / contract.container.replace(".", "/") / "stray.py").write_text("")
        made += [(add_import(tree, a, b), b) for a, b in wrong_imports(contract)]
    code, said = lint(tree)
    assert code == 1, said
    return made, said


def test_both_daemons_have_layers() -> None:
    assert {contract.container for contract in layers_contracts()} == DAEMONS | {"trustedpods"}


def test_the_copy_as_it_is_keeps_every_contract(tmp_path: Path) -> None:
    copy_tree(tmp_path)
    code, said = lint(tmp_path)
    assert code == 0, said


def test_a_module_in_no_layer_is_refused(broken: tuple[list[tuple[str, str]], str]) -> None:
    strays = re.findall(r"^- (\S+\.stray)$", broken[1], re.MULTILINE)
    assert sorted(strays) == sorted(f"{contract.container}.stray" for contract in layers_contracts())


def test_a_wrong_import_is_refused_in_every_layer(broken: tuple[list[tuple[str, str]], str]) -> None:
    made, said = broken
    refused = set(re.findall(r"(\S+) -> (\S+) \(l\.", said))
    assert len(made) > 40
    assert [pair for pair in made if pair not in refused] == []
