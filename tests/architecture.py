# SPDX-License-Identifier: Apache-2.0
"""The rooms as `.importlinter` and the charters say, and their drawings in docs/architecture.md.

python -m tests.architecture     # writes the drawings and tables anew, between their markers
"""

import ast
import re
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

CONTRACTS = ROOT / ".importlinter"
PAGE = ROOT / "docs" / "architecture.md"

WIDTH = 72
"""Of a drawing, in characters: it fits a terminal, and the longest layer fits it."""


@dataclass(frozen=True, slots=True)
class LayersContract:
    """One contract of type `layers`."""

    container: str
    """Dotted name of the package whose children stand in the layers."""
    layers: tuple[tuple[str, ...], ...]
    """From the highest to the lowest; children in one layer never import each other."""


def layers_contracts(file: Path = CONTRACTS) -> list[LayersContract]:
    """Every layers contract, in the order of the file."""
    config = ConfigParser()
    config.read_string(file.read_text())
    return [
        LayersContract(
            container=section["containers"].strip(),
            layers=tuple(
                tuple(room.strip() for room in line.split("|"))
                for line in section["layers"].split("\n")
                if line.strip()
            ),
        )
        for section in (config[title] for title in config.sections())
        if section.get("type") == "layers"
    ]


# ---- the drawing -------------------------------------------------------------------------------


def drawing(layers: tuple[tuple[str, ...], ...]) -> str:
    """One bar for each layer; rooms in one bar stand side by side."""
    walls: list[set[int]] = [set(), *(_walls(len(layer)) for layer in layers), set()]
    lines = [_border(walls[0], walls[1])]
    for index, layer in enumerate(layers, start=1):
        lines += [_bar(layer), _border(walls[index], walls[index + 1])]
    lines[0] = "┌" + lines[0][1:-1] + "┐"
    lines[-1] = "└" + lines[-1][1:-1] + "┘"
    return "\n".join(lines)


def _walls(rooms: int) -> set[int]:
    """Columns of the walls between so many rooms."""
    return {WIDTH * number // rooms for number in range(1, rooms)}


def _bar(layer: tuple[str, ...]) -> str:
    edges = [0, *sorted(_walls(len(layer))), WIDTH]
    cells = [
        name.center(right - left - 1) for name, left, right in zip(layer, edges, edges[1:], strict=False)
    ]
    return "│" + "│".join(cells) + "│"


def _border(above: set[int], below: set[int]) -> str:
    joints = dict.fromkeys(above - below, "┴") | dict.fromkeys(below - above, "┬")
    joints |= dict.fromkeys(above & below, "┼")
    return "├" + "".join(joints.get(column, "─") for column in range(1, WIDTH)) + "┤"


# ---- the rooms ---------------------------------------------------------------------------------


def source_of(dotted: str) -> Path:
    """The package's folder or the module's file, in the repository."""
    _, room, *rest = dotted.split(".")
    place = (ROOT / "deploy" / room if room in ("localnet", "guest") else ROOT / room).joinpath(*rest)
    return place if place.is_dir() else place.with_suffix(".py")


def first_line(source: Path) -> str:
    """Of a package's charter or a module's docstring."""
    file = source / "__init__.py" if source.is_dir() else source
    return (ast.get_docstring(ast.parse(file.read_text())) or "").partition("\n")[0]


def packages_in(folder: Path) -> list[Path]:
    """Every package below *folder*, at whatever depth."""
    found = (init.parent for init in folder.rglob("__init__.py") if "node_modules" not in init.parts)
    return sorted(package for package in found if package != folder)


def table(contract: LayersContract, containers: set[str]) -> str:
    """What each room is for, in the order of the layers, a package's packages behind it.

    What a container among *containers* holds has a table of its own.
    """
    lines = ["| room | what it is for |", "|---|---|"]
    for room in (room for layer in contract.layers for room in layer):
        dotted = f"{contract.container}.{room}"
        source = source_of(dotted)
        inner = packages_in(source) if source.is_dir() and dotted not in containers else []
        for place in (source, *inner):
            name = place.relative_to(ROOT).as_posix() + ("/" if place.is_dir() else "")
            lines.append(f"| `{name}` | {first_line(place)} |")
    return "\n".join(lines)


# ---- the page ----------------------------------------------------------------------------------


def blocks() -> dict[str, str]:
    """What stands between the markers of the page, by the name of the container."""
    contracts = layers_contracts()
    containers = {contract.container for contract in contracts}
    return {
        one.container: f"```text\n{drawing(one.layers)}\n```\n\n{table(one, containers)}" for one in contracts
    }


def marker(container: str) -> re.Pattern[str]:
    """The block of a container with its two markers."""
    name = re.escape(container)
    return re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)


def rewritten(page: str) -> str:
    """The page with every block as it must be."""
    for container, block in blocks().items():
        page = marker(container).sub(lambda found, new=block: f"{found[1]}{new}\n{found[2]}", page)
    return page


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
