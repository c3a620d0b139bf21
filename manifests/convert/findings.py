# SPDX-License-Identifier: Apache-2.0
"""What a conversion finds: fields that cannot be converted, and what a person should know of the others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from trustedpods.manifests.convert.variables.known import KnownVariables
from trustedpods.manifests.problem import Location, Problem

Kind = Literal["file", "folder"]


class Surroundings(Protocol):
    """The folder of the file that is converted: other files that it names."""

    def kind(self, name: str) -> Kind | None:
        """What *name* is; None where nothing is there, or neither."""

    def outside(self, name: str) -> bool:
        """Whether *name* leads out of the folder, by its own words or by a link."""

    def text(self, name: str) -> str:
        """The text of a file in it. Raises `BadInput` for what is outside, cannot be read, or is too long."""


@dataclass(slots=True)
class Findings:
    """Collects, while a file is read from top to bottom."""

    around: Surroundings
    variables: KnownVariables = field(default_factory=KnownVariables)
    problems: list[Problem] = field(default_factory=list)
    private: bool = False
    """Whether values of another file stand in the manifest now: they may be secret."""
    _notes: dict[str, None] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted, each once, in order."""
        return tuple(self._notes)

    def refuse(self, at: Location, text: str) -> None:
        """The field at *at* cannot be converted; *text* says what to write instead."""
        self.problems.append(Problem(at, text))

    def note(self, text: str) -> None:
        """Something that was made up, or dropped because it changes nothing; told once."""
        self._notes[text] = None

    def leads_out(self, name: str, at: Location) -> bool:
        """Whether *name* at *at* is outside the folder, which is refused: a file may name any path."""
        out = self.around.outside(name)
        if out:
            self.refuse(at, f"{name} is outside the folder: copy it beside this file")
        return out

    def sent(self, name: str) -> None:
        """Tell that the file or folder *name* leaves this machine."""
        self.note(f"{name} is sent along, sealed; the pod only reads it")

    def mapping(self, value: object, at: Location) -> Mapping[str, object]:
        """*value* where it is a mapping; else it is refused, but for nothing at all."""
        if isinstance(value, Mapping):
            return {str(key): one for key, one in value.items()}
        if value is not None:
            self.refuse(at, "names with values are expected here")
        return {}

    def items(self, value: object, at: Location) -> list[object]:
        """*value* where it is a list; else it is refused, but for nothing at all."""
        if isinstance(value, list):
            return list(value)
        if value is not None:
            self.refuse(at, "a list is expected here")
        return []


@dataclass(frozen=True, slots=True)
class Converted:
    """A manifest in plain types, what a person should know of it, and the file that it came of.

    One that is `private` holds what stood in other files, which others perhaps may not read.
    """

    tree: Mapping[str, object]
    notes: tuple[str, ...]
    source: Path
    private: bool = False
