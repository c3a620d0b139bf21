# SPDX-License-Identifier: Apache-2.0
"""What drand's nodes have signed: a round that each of several has told, with one signature.

Asked for is the latest round, and none by its number: a drand 2.1 that is asked for a number before its
HTTP service listens to the chain may answer no such request any more, while it signs on and tells its latest.
"""

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.live.examples.chain_node import ask_http

LATEST = "/public/latest"


@dataclass(frozen=True)
class Round:
    """A round, and its signature."""

    number: int
    signature: str


def latest_round(namespace: Path, address: str, port: int) -> Round | None:
    """A node's latest, for somebody in the network *namespace*; None while it has none or does not answer."""
    try:
        told = json.loads(ask_http(namespace, address, port, LATEST))
    except (OSError, AssertionError, http.client.HTTPException):
        return None
    return Round(int(told.get("round", 0)), str(told["signature"]))


@dataclass(frozen=True)
class Signatures:
    """What nodes tell, look by look: who is asked a moment later may have a later round by then."""

    latest: Mapping[str, Callable[[], Round | None]]
    told: dict[int, dict[str, str]] = field(default_factory=dict)

    def common(self, after: int = 0) -> Round | None:
        """The newest round later than *after* that all have told; AssertionError where they differ.

        Round 0, which drand's JSON leaves out, is no signature: it is the seed that they begin with.
        """
        for who, latest in self.latest.items():
            if (found := latest()) is not None:
                self.told.setdefault(found.number, {})[who] = found.signature
        numbers = [
            one for one, told in self.told.items() if one > after and told.keys() == self.latest.keys()
        ]
        if not numbers:
            return None
        number = max(numbers)
        signatures = set(self.told[number].values())
        assert len(signatures) == 1, f"round {number} is signed differently: {self.told[number]}"
        return Round(number, signatures.pop())
