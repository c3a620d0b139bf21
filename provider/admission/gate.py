# SPDX-License-Identifier: Apache-2.0
"""Whom the operator lets in: nobody while the provider is drained, and no publisher on the deny list.

One small file beside the store, replaced as a whole, so that a restart changes nothing.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.protocol.whole_file import replace_whole
from trustedpods.provider.store.failures import translated

FILE_NAME = "gate.json"
MAX_DENIED = 10_000
"""Publishers that are kept out; keys are free, so the list is for nuisances, not for security."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Why the provider is being drained (None: it is not), and who is kept out."""

    draining: str | None = None
    denied: frozenset[Address] = frozenset()


class Gate:
    """The rules, kept in *folder*; without one they live as long as the object: for tests."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / FILE_NAME
        self.rules = Rules() if self._path is None else _read(self._path)

    def check(self, publisher: Address | None = None) -> None:
        """Refused while nobody new may come, or when *publisher* may not."""
        if self.rules.draining is not None:
            raise Refused(
                f"this provider takes no pods: {self.rules.draining}",
                rule="draining",
                hint="take another one",
            )
        if publisher is not None:
            self.check_key(publisher)

    def check_key(self, publisher: Address) -> None:
        """Refused where the operator does not serve this key; also while the provider is drained."""
        if publisher in self.rules.denied:
            raise Refused("this provider's operator does not serve this key", rule="denied")

    def drain(self, reason: str | None) -> None:
        """From now on nobody comes in, for that reason; None opens the gate again."""
        self._set(replace(self.rules, draining=reason))

    def deny(self, publisher: Address) -> None:
        """Keep a publisher out; Refused when the list is full."""
        if len(self.rules.denied) >= MAX_DENIED:
            raise Refused(f"the deny list holds {MAX_DENIED} keys already", rule="deny-list")
        self._set(replace(self.rules, denied=self.rules.denied | {publisher}))

    def _set(self, rules: Rules) -> None:
        if self._path is not None:
            kept = {"draining": rules.draining, "denied": sorted(rules.denied)}
            with translated("the operator's rules cannot be kept", self._path):
                replace_whole(self._path, json.dumps(kept).encode())
        self.rules = rules


def _read(path: Path) -> Rules:
    try:
        data = json.loads(path.read_text())
        draining = data["draining"]
        if not (draining is None or isinstance(draining, str)):
            raise TypeError  # noqa: TRY301 - one message for all that is not such a file
        return Rules(draining, frozenset(parse_address(one) for one in data["denied"]))
    except FileNotFoundError:
        return Rules()
    except (OSError, ValueError, TypeError, KeyError, BadInput):
        raise BadInput("not the operator's gate file", where=str(path), hint="move it away") from None
