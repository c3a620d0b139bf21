# SPDX-License-Identifier: Apache-2.0
"""What is in flight now, one by one: who keeps a pod awake, and what has been open for too long. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trustedpods.provider.core.facade_ways.ways import LedConnection
from trustedpods.provider.facade.haproxy.config import slot_of

_LINE = re.compile(
    r"^(?P<id>0x[0-9a-f]+): proto=\S+ src=(?P<source>\S+) fe=\S+ be=(?P<backend>\S+) .*?\bage=(?P<age>\S+) ",
)
_AGE = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


UNSEEN = "(whose body is counted)"
"""In the place of a client's address, where HAProxy asks itself (`bodies`)."""


@dataclass(frozen=True, slots=True)
class Session:
    """A request or connection in flight; `source` is the client's address without its port, or `UNSEEN`.

    `id` is HAProxy's; one that the kernel carries past it is `led`, and has none.
    """

    id: str
    slot: int
    source: str
    age_s: int
    led: LedConnection | None = None


def parse_sessions(text: str) -> list[Session]:
    """The sessions of slots, of the reply to `show sess`."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line)
        slot = slot_of(match["backend"]) if match else None
        if match and slot is not None:
            source = match["source"].rpartition(":")[0].strip("[]")
            source = UNSEEN if source == "unix" else source
            found.append(Session(match["id"], slot, source, age_seconds(match["age"])))
    return found


def age_seconds(text: str) -> int:
    """Seconds of an age as HAProxy writes it: `5s`, `3m7s`, `1d2h`."""
    return sum(int(number) * _SECONDS[unit] for number, unit in _AGE.findall(text))


def too_old(sessions: Iterable[Session], most_s: int) -> list[Session]:
    """Those that have been open for longer than they may."""
    return [session for session in sessions if session.age_s > most_s]


def told(sessions: list[Session]) -> str:
    """For the publisher: how much is in flight, and who has had it for longest; empty if nothing is."""
    if not sessions:
        return ""
    oldest = max(sessions, key=lambda session: session.age_s)
    sources = len({session.source for session in sessions})
    return (
        f"kept awake by {len(sessions)} requests or connections of {sources} addresses; "
        f"the oldest is {oldest.age_s} s old, from {oldest.source}"
    )
