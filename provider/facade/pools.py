# SPDX-License-Identifier: Apache-2.0
"""Slots by what they carry: HTTP/1.1 (with WebSocket), HTTP/2 without TLS (gRPC), and plain TCP. Pure.

All slots are numbered through: first those of http, then h2, then tcp.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trustedpods.protocol.errors import BadInput

MAX_SLOTS = 16_384
"""HAProxy starts with so many in two seconds and has 360 MB then (docs/facade.md), and `show servers state`
of them with twenty pods each fits into one reply that we read. Each has a socket of the activator, whose unit
may have four times as many files."""


class SlotProtocol(StrEnum):
    """What the pod's side of a slot speaks."""

    HTTP = "http"
    H2 = "h2"
    TCP = "tcp"


@dataclass(frozen=True, slots=True)
class Pools:
    """How many slots of each protocol there are."""

    http: int
    h2: int = 0
    tcp: int = 0

    def __post_init__(self) -> None:
        """Refuse what HAProxy's numbers have no room for."""
        sizes = (self.http, self.h2, self.tcp)
        if min(sizes) < 0 or self.http < 1 or self.total > MAX_SLOTS:
            raise BadInput(f"slots are {sizes}: one of http, {MAX_SLOTS} in all", where="facade.slots")

    @property
    def total(self) -> int:
        """Number of all slots."""
        return self.http + self.h2 + self.tcp

    def slots(self, protocol: SlotProtocol) -> range:
        """The slots of a protocol."""
        starts: Mapping[SlotProtocol, tuple[int, int]] = {
            SlotProtocol.HTTP: (0, self.http),
            SlotProtocol.H2: (self.http, self.h2),
            SlotProtocol.TCP: (self.http + self.h2, self.tcp),
        }
        start, count = starts[protocol]
        return range(start, start + count)

    def protocol(self, slot: int) -> SlotProtocol:
        """What a slot carries; ValueError if there is no such slot."""
        for protocol in SlotProtocol:
            if slot in self.slots(protocol):
                return protocol
        raise ValueError(f"no slot {slot}")
