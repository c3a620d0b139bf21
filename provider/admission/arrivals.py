# SPDX-License-Identifier: Apache-2.0
"""How often one address may ask for work that nobody has paid for. Keys are free, addresses are not."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import trio

from trustedpods.protocol.limits import MIB

MAX_ADDRESSES = 4096
"""Addresses that are remembered; of more, those that asked longest ago begin anew."""

IPV6_SUBNET_BITS = 64
"""One subscriber has 2^64 addresses of IPv6 (RFC 6177), and counts as one."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many at once, and one more each *every_s* seconds."""

    burst: int
    every_s: float


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """What admission takes of unpaid work, of updates, and of one publisher."""

    waiting: int = 64
    """Pods that wait for their channel to appear, each for three minutes at most."""

    waiting_bytes: int = 8 * MIB
    """Of their bundles, which are held several times over; most have a few kilobytes."""

    new_pods: Allowance = Allowance(burst=24, every_s=5.0)
    """Bundles of pods from one address that are not paid for: a deploy sends one, then pays."""

    questions: Allowance = Allowance(burst=120, every_s=0.5)
    """`admit` from one address: each asks the cluster what is free."""

    of_networks: Allowance = Allowance(burst=1200, every_s=0.02)
    """Questions about networks from one address: twenty commands that wait for a lease ask 40 a second."""

    bundles: Allowance = Allowance(burst=120, every_s=0.5)
    """Bundles from one address for pods that are not known to pay: each is written down, and behind
    `new_pods` the chain is asked for its channel. A fleet with open channels comes at this pace."""

    updates: Allowance = Allowance(burst=30, every_s=10.0)
    """Bundles of one pod that pays: each may mean new objects, an import and a start."""

    called_nodes: int = 512
    """Nodes that one publisher's pods call, together: as many as eight pods may, and an eighth of a small
    range for services (/20)."""


class Arrivals:
    """One allowance for each address; *clock* counts seconds, and *most* addresses are remembered."""

    def __init__(
        self,
        allowance: Allowance,
        clock: Callable[[], float] = trio.current_time,
        most: int = MAX_ADDRESSES,
    ) -> None:
        self._allowance = allowance
        self._most = most
        self._clock = clock
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Whether *address* may once more; if so, that is counted."""
        key, now = culprit(address), self._clock()
        spent, at = self._spent.pop(key, (0.0, now))
        spent = self._left(spent, at, now)
        allowed = spent + 1 <= self._allowance.burst
        self._spent[key] = (spent + 1 if allowed else spent, now)
        while self._spent and self._may_go(next(iter(self._spent.values())), now):
            self._spent.popitem(last=False)
        return allowed

    def _left(self, spent: float, at: float, now: float) -> float:
        return max(0.0, spent - (now - at) / self._allowance.every_s)

    def _may_go(self, entry: tuple[float, float], now: float) -> bool:
        """Who has everything back is as unknown as before: a provider remembers no caller for ever."""
        return len(self._spent) > self._most or self._left(*entry, now) == 0

    def give_back(self, address: str) -> None:
        """What was counted for *address* turned out to be paid for."""
        key = culprit(address)
        if key in self._spent:
            spent, at = self._spent[key]
            self._spent[key] = (max(0.0, spent - 1), at)


def culprit(address: str) -> str:
    """Who is counted: an address of IPv4, a subscriber's network of IPv6; other text is itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> IPV6_SUBNET_BITS << IPV6_SUBNET_BITS))
