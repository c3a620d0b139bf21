# SPDX-License-Identifier: Apache-2.0
"""Map files: how HAProxy is told at run time what would otherwise be in its configuration. Pure.

Each is a file of lines `KEY VALUE` that HAProxy reads at its start; afterwards it is changed over
the runtime socket. The file is always written first, so that a restart finds the newer state.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

from trustedpods.protocol.errors import LocalProtocolError

Entries = Mapping[str, str]

RESTING_KEY = "facade"
"""The key of the map `RESTING`, which is of no slot."""


UNKNOWN = "Unknown map"
"""How HAProxy refuses a change of a map that its configuration does not name."""


class SlotMap(StrEnum):
    """Maps from a slot's backend to a number; the value is the file's name beside the host map.

    `CONNECTIONS`: requests (of tcp: connections) at once. `RATES`: requests per second. `BODIES`:
    bytes of a request's body as announced. `STREAMS`: of one without a length. `HTTPS`: there if http
    requests are sent to https. `AFFINITY`: what clients are known by, in words (`affinity`). `SHARED` is by
    host instead: there if services share the host by their paths. `RESTING` has one line while
    another node's facade serves. `ASKING` is there if the slot is in any of `OF_A_SLOT`, and is told first:
    of a slot that is not there no other map is asked.
    """

    ASKING = "asking.map"
    CONNECTIONS = "connections.map"
    RATES = "rates.map"
    BODIES = "bodies.map"
    STREAMS = "streams.map"
    HTTPS = "https.map"
    SHARED = "shared.map"
    AFFINITY = "affinity.map"
    RESTING = "resting.map"

    def beside(self, host_map: Path) -> Path:
        """The file's path."""
        return host_map.with_name(self.value)


OF_A_SLOT = (
    SlotMap.CONNECTIONS,
    SlotMap.RATES,
    SlotMap.BODIES,
    SlotMap.STREAMS,
    SlotMap.HTTPS,
    SlotMap.AFFINITY,
)
"""What a service may ask for, one map each; few ask for anything."""


def map_text(entries: Entries) -> str:
    """The whole file."""
    return "".join(f"{_word(key)} {_word(value)}\n" for key, value in sorted(entries.items()))


def parse_map_text(text: str) -> dict[str, str]:
    """Keys and values of a map file; what is no entry is left out."""
    return _entries(line.split() for line in text.splitlines() if not line.startswith("#"))


def parse_map_reply(text: str) -> dict[str, str]:
    """The same of the reply to `show map`, whose lines begin with an address."""
    return _entries(line.split()[1:] for line in text.splitlines())


def map_commands(file: Path, wanted: Entries, seen: Entries) -> list[str]:
    """What makes HAProxy's map equal to *wanted*. `add` on a known key would double it."""
    commands = [f"del map {file} {key}" for key in seen if key not in wanted]
    for key, value in wanted.items():
        if seen.get(key) != value:
            verb = "set" if key in seen else "add"
            commands.append(f"{verb} map {file} {_word(key)} {_word(value)}")
    return commands


def _entries(rows: Iterable[list[str]]) -> dict[str, str]:
    return {row[0]: row[1] for row in rows if len(row) == 2}


def _word(text: str) -> str:
    """*text* itself, if it can be one word of a command."""
    if not text or not text.isascii() or not text.isprintable() or set(text) & set(" ;\\\"'#"):
        raise LocalProtocolError(f"not a word for HAProxy: {text!r}")
    return text
