# SPDX-License-Identifier: Apache-2.0
"""The layers of `.importlinter` as values, for the tests that hold code and pages against them."""

from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from tests.paths import ROOT

CONTRACTS = ROOT / ".importlinter"


@dataclass(frozen=True, slots=True)
class LayersContract:
    """One contract of type `layers`."""

    name: str
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
            name=section["name"],
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


def source_of(dotted: str) -> Path:
    """The package's folder or the module's file, in the repository."""
    parts = dotted.split(".")[1:]
    folder = ROOT / ("deploy/localnet" if parts[0] == "localnet" else parts[0]) / "/".join(parts[1:])
    return folder if folder.is_dir() else folder.with_suffix(".py")
