# SPDX-License-Identifier: Apache-2.0
"""Which ports are forwarded: `[LOCAL:]PORT` as people write it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.forward import MAX_PORTS

_WRITTEN = re.compile(r"(?:(?P<local>[0-9]{0,5}):)?(?P<port>[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class PortPair:
    """A port of this machine (0: any free one), and that of the pod which it stands for."""

    local: int
    port: int


def parse_ports(texts: Sequence[str]) -> tuple[PortPair, ...]:
    """`8080`, `5433:5432`, `:5432` (any free port here); BadInput for anything else, or one twice."""
    pairs = tuple(_parse(text) for text in texts)
    if not 0 < len(pairs) <= MAX_PORTS:
        raise BadInput(f"1 to {MAX_PORTS} ports", where="PORT")
    fixed = [pair.local for pair in pairs if pair.local]
    if len(set(fixed)) < len(fixed):
        raise BadInput("two ports of the pod at one of this machine", where="PORT", hint="write LOCAL:PORT")
    return pairs


def _parse(text: str) -> PortPair:
    found = _WRITTEN.fullmatch(text)
    if found is not None:
        port, local = int(found["port"]), found["local"]
        here = port if local is None else int(local or 0)
        if 0 < port <= 65535 and here <= 65535:
            return PortPair(here, port)
    raise BadInput(f"not a port: {text!r}", where="PORT", hint="write 8080, or 5433:5432 for port 5433 here")
