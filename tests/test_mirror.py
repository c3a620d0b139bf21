# SPDX-License-Identifier: Apache-2.0
"""A module's tests are in the file of its name, or where tests/tested_elsewhere.toml says, with a reason."""

import re
import tomllib
from pathlib import Path

from tests.paths import ROOT
from tests.test_layout import tracked

ROOMS = {"publisher", "provider", "protocol", "contracts", "manifests", "deploy/localnet", "deploy/guest"}
LIST = ROOT / "tests" / "tested_elsewhere.toml"


def modules() -> list[str]:
    found = [path.relative_to(ROOT).as_posix() for path in tracked() if path.suffix == ".py"]
    return [
        name
        for name in found
        if any(name.startswith(f"{room}/") for room in ROOMS)
        if not name.endswith(("__init__.py", "__main__.py")) and "/migrations/" not in name
    ]


def dotted(module: str) -> str:
    return "trustedpods." + module.removeprefix("deploy/").removesuffix(".py").replace("/", ".")


def own_tests(module: str) -> list[Path]:
    path = Path(module.removeprefix("deploy/"))
    folder = ROOT / "tests" / path.parent
    return [
        file
        for form in ("test_{}.py", "test_{}_live.py")
        if (file := folder / form.format(path.stem)).exists()
    ]


def elsewhere() -> dict[str, str]:
    groups = tomllib.loads(LIST.read_text())
    assert all(len(group["why"].split()) > 3 for group in groups.values()), "a reason is a sentence"
    return {module: test for group in groups.values() for module, test in group["modules"].items()}


def test_every_module_has_tests_where_a_reader_looks() -> None:
    listed = elsewhere()
    assert [name for name in modules() if not own_tests(name) and name not in listed] == []


def test_the_list_names_what_is_there_and_nothing_else() -> None:
    listed, known = elsewhere(), set(modules())
    assert [name for name in listed if name not in known or own_tests(name)] == []
    assert [test for test in listed.values() if not (ROOT / test).is_file()] == []


def test_what_is_called_by_name_is_imported_there() -> None:
    for module, test in tomllib.loads(LIST.read_text())["by_name"]["modules"].items():
        package, _, name = dotted(module).rpartition(".")
        text = (ROOT / test).read_text()
        assert f"{package}.{name}" in text or re.search(rf"from {package} import [^\n]*\b{name}\b", text), (
            test
        )
