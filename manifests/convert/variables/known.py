# SPDX-License-Identifier: Apache-2.0
"""The variables that a Compose file may use: those of the shell, then those of files. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trustedpods.manifests.convert.variables.template import TemplateError
from trustedpods.protocol.limits import KIB

MAX_TAKEN = 512 * KIB
"""Letters of all values that are put into a manifest: twice what one may have in the end."""


@dataclass(slots=True)
class KnownVariables:
    """Values by name, with where each came from; remembers which were asked for."""

    shell: Mapping[str, str] = field(default_factory=dict)
    """The environment of this process, which goes before all files."""
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Value and file by name, of `.env` or of those that a person named."""
    taken: dict[str, dict[str, None]] = field(default_factory=dict)
    """Names that were used, by where their values came from."""
    unset: dict[str, None] = field(default_factory=dict)
    """Names that were used without being set."""
    left: int = MAX_TAKEN

    def peek(self, name: str) -> str | None:
        """The value of *name*; None where it is not set."""
        if name in self.shell:
            return self.shell[name]
        return self.files[name][0] if name in self.files else None

    def value(self, name: str) -> str | None:
        """As `peek`; that it was used is remembered."""
        if (value := self.peek(name)) is not None:
            source = "the shell" if name in self.shell else self.files[name][1]
            self.taken.setdefault(source, {})[name] = None
            self.spend(len(value))
        return value

    def spend(self, letters: int) -> None:
        """Count *letters* of values; `TemplateError` where those of one file are too many."""
        self.left -= letters
        if self.left < 0:
            raise TemplateError(f"values of variables have more than {MAX_TAKEN // KIB} KiB in all")
