# SPDX-License-Identifier: Apache-2.0
"""Where a replica's programs take TCP connections, as the node's kernel has it, and how that is told."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

MAX_LISTENERS = 32
"""Of one replica, as the agent bounds it: it is for a person to read."""

LONGEST_PLACE = 64
"""An address of IPv6 in brackets, with its port, has up to 54 characters."""


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A port of a replica; `own` says that only the replica itself reaches it, by its loopback."""

    port: int
    own: bool


def parse_listeners(told: object) -> tuple[Listener, ...]:
    """`["0.0.0.0:80", "[::1]:81"]` by port; ValueError for anything else."""
    if not isinstance(told, list) or len(told) > MAX_LISTENERS:
        raise ValueError("no list of so few places")
    return tuple(sorted({_listener(place) for place in told}))


def _listener(place: object) -> Listener:
    if not isinstance(place, str) or len(place) > LONGEST_PLACE:
        raise ValueError("a place is a short text")
    address, _, port = place.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f"the port of {place}")
    return Listener(int(port), ip_address(address.removeprefix("[").removesuffix("]")).is_loopback)


def listening_words(listeners: Sequence[Listener]) -> str:
    """For its publisher, who wonders why nothing answers."""
    everywhere = {one.port for one in listeners if not one.own}
    own = {one.port for one in listeners if one.own} - everywhere
    if not everywhere and not own:
        return "its programs listen on no port"
    told = [_ports(everywhere)] if everywhere else []
    told += [f"{_ports(own)} of its own 127.0.0.1, where nobody else reaches it"] if own else []
    return f"its programs listen on {', and on '.join(told)}"


def _ports(ports: Iterable[int]) -> str:
    found = sorted(ports)
    return f"port{'s' if len(found) > 1 else ''} {', '.join(map(str, found))}"
