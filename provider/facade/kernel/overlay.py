# SPDX-License-Identifier: Apache-2.0
"""Keeps the kernel leading what it may, beside HAProxy, which is told the same and carries all else.

An order goes first to whoever must stop, and last to whoever begins: `narrow` before HAProxy is told, `widen`
after it. So a replica that HAProxy shows without new connections gets none by the kernel either.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import trio

from trustedpods.protocol.errors import NetworkFailure
from trustedpods.provider.core.facade_ways.ways import (
    LEASE_S,
    KernelWay,
    LedConnection,
    WayLoad,
    WaysDoor,
    WaysTold,
    WaysWanted,
    unknown_loads,
    with_led,
)
from trustedpods.provider.core.traffic import SlotStats
from trustedpods.provider.exposure.service_keys import pod_of, service_of
from trustedpods.provider.facade.haproxy.sessions import Session
from trustedpods.provider.facade.kernel import choice
from trustedpods.provider.facade.pools import Pools, SlotProtocol
from trustedpods.provider.facade.slots import ServiceSpec

_log = logging.getLogger(__name__)

ON_THE_WAY_S = 10.0
"""How much later than it was sent a question may reach the agent, which gives up those that take longer."""


class KernelWays:
    """What the node's agent was told, and what it said. `first_port` is that of the first slot of tcp.

    `per_source`: connections at once of one client address, counted beside those in HAProxy.
    """

    def __init__(self, door: WaysDoor, pools: Pools, first_port: int, per_source: int) -> None:
        self._door = door
        self._slots = pools.slots(SlotProtocol.TCP)
        self._first_port = first_port
        self._wanted = WaysWanted(per_source=per_source)
        self._led: dict[KernelWay, float] = {}
        """Until when the kernel may lead each, at the latest. What was asked for last is among them."""
        self._earlier_until: float | None = None
        self._answered = False
        self._last = WaysTold()
        self._unanswered = 0
        self._lock = trio.Lock()

    def port(self, slot: int) -> int:
        """The port of a slot of tcp."""
        return self._first_port + self._slots.index(slot)

    def wanted(self, wants: Mapping[int, ServiceSpec], owners: Mapping[str, int]) -> WaysWanted:
        """All ways of these services."""
        ways = [
            choice.way_of(want, self.port(slot), pod_of(want.label))
            for slot, want in wants.items()
            if slot in self._slots
        ]
        named = {self.port(slot): pod_of(key) for key, slot in owners.items() if slot in self._slots}
        found = tuple(sorted(way for way in ways if way is not None and named.get(way.port) == way.pod))
        return replace(self._wanted, ways=found, owners=named)

    async def narrow(
        self, wants: Mapping[int, ServiceSpec], owners: Mapping[str, int], of: int | None = None
    ) -> None:
        """When this returns nothing leads where it is not wanted; NetworkFailure where something still may.

        *wants* are the services by slot, *owners* the slots by services' keys. With *of* only that slot
        counts: no service waits for what the kernel does with another's.
        """
        async with self._lock:
            wanted = self.wanted(wants, owners)
            now, before = set(wanted.ways) & self._led.keys(), self._wanted.owners
            leads_more = not self._answered or not self._led.keys() <= now
            ends_more = not before.items() <= wanted.owners.items()
            self._wanted = replace(wanted, ways=tuple(sorted(now)))
            if not leads_more and not ends_more:
                return
            try:
                await self._tell()
            except NetworkFailure:
                if any(self._leads_other(slot, now) for slot in (self._slots if of is None else [of])):
                    raise

    async def widen(self, wants: Mapping[int, ServiceSpec], owners: Mapping[str, int]) -> None:
        """Lead all that is wanted; what the agent does not lead is HAProxy's."""
        async with self._lock:
            self._wanted = wanted = self.wanted(wants, owners)
            if not wanted.ways and not self._led and self._answered:
                return
            try:
                await self._tell()
            except NetworkFailure as error:
                _log.warning("connections of tcp stay with HAProxy: %s", error)

    def may_lead(self, slot: int) -> bool:
        """Whether the kernel may still lead new connections of the slot."""
        return self._leads_other(slot, frozenset())

    def _leads_other(self, slot: int, now: Collection[KernelWay]) -> bool:
        """Whether it may still lead them by another way than those of *now*."""
        if slot not in self._slots:
            return False
        port = self.port(slot)
        return self._earlier or any(one.port == port and one not in now for one in self._leased())

    def _leased(self) -> dict[KernelWay, float]:
        """Those whose lease may still go on: what is not asked for again ends, whatever else is."""
        now = trio.current_time()
        return {way: until for way, until in self._led.items() if now < until}

    @property
    def _earlier(self) -> bool:
        """Whether a lease may still go on that an earlier daemon asked for, perhaps just before this one."""
        if self._answered:
            return False
        if self._earlier_until is None:
            self._earlier_until = trio.current_time() + LEASE_S + ON_THE_WAY_S
        return trio.current_time() < self._earlier_until

    async def add(
        self, stats: dict[int, SlotStats], wants: Mapping[int, ServiceSpec]
    ) -> dict[int, SlotStats]:
        """The slots' counters with what the kernel carries; the leases go on."""
        if not self._busy or not any(slot in self._slots for slot in stats):
            return stats
        loads = await self._loads()
        return {slot: self._added(slot, one, loads, wants.get(slot)) for slot, one in stats.items()}

    def _added(
        self, slot: int, stats: SlotStats, loads: tuple[WayLoad, ...], want: ServiceSpec | None
    ) -> SlotStats:
        if slot not in self._slots:
            return stats
        port, replicas = self.port(slot), () if want is None else (*want.pods, *want.draining)
        here = [one for one in loads if one.port == port]
        led = {one.address for one in self._leased() if one.port == port}
        return with_led(stats, here, led, {pod.ip: pod.name for pod in replicas})

    async def sessions(self) -> list[Session]:
        """What is open, one by one; nothing while the agent does not answer."""
        if not self._busy:
            return []
        async with self._lock:
            try:
                told = await self._tell(connections=True)
            except NetworkFailure as error:
                _log.warning("connections in the kernel are not looked at: %s", error)
                return []
        first, count = self._first_port, len(self._slots)
        return [
            Session("", self._slots[one.port - first], one.source, one.age_s, one)
            for one in told.connections
            if one.port - first in range(count)
        ]

    async def cut(self, connection: LedConnection) -> None:
        """End it."""
        async with self._lock:
            await self._tell([connection])

    def told(self, wants: Mapping[int, ServiceSpec]) -> dict[str, str]:
        """Which way new connections of each of these services of tcp go, by its name; see `choice`."""
        leading = self._last.leading & {one.port for one in self._leased()}
        return {
            service_of(want.label): choice.told(want, self.port(slot), leading)
            for slot, want in wants.items()
            if slot in self._slots
        }

    @property
    def _busy(self) -> bool:
        return bool(self._led or self._wanted.ways or self._last.loads)

    async def _loads(self) -> tuple[WayLoad, ...]:
        async with self._lock:
            try:
                return (await self._tell()).loads
            except NetworkFailure as error:
                self._unanswered += 1
                if self._unanswered == 1:
                    _log.warning("connections in the kernel are not counted now: %s", error)
                return unknown_loads(self._led, self._last.loads, self._unanswered)

    async def _tell(self, cut: Iterable[LedConnection] = (), *, connections: bool = False) -> WaysTold:
        """Until it is answered all of before and all that is new may be led."""
        wanted = self._wanted
        # A question whose answer is lost may have given a lease too, and later than now.
        until = trio.current_time() + LEASE_S + ON_THE_WAY_S
        self._led = self._leased() | dict.fromkeys(wanted.ways, until)
        told = await self._door.tell(wanted, cut, connections=connections)
        self._led, self._answered = dict.fromkeys(wanted.ways, until), True
        self._last, self._unanswered = told, 0
        return told


class HaproxyAlone:
    """The kernel leads nothing: HAProxy carries every connection."""

    async def narrow(
        self, wants: Mapping[int, ServiceSpec], owners: Mapping[str, int], of: int | None = None
    ) -> None:
        """Nothing leads anywhere."""

    async def widen(self, wants: Mapping[int, ServiceSpec], owners: Mapping[str, int]) -> None:
        """Nothing leads anywhere."""

    def may_lead(self, _slot: int) -> bool:
        """Never."""
        return False

    async def add(
        self, stats: dict[int, SlotStats], _wants: Mapping[int, ServiceSpec]
    ) -> dict[int, SlotStats]:
        """As HAProxy counted."""
        return stats

    async def sessions(self) -> list[Session]:
        """None."""
        return []

    async def cut(self, connection: LedConnection) -> None:
        """There is none."""

    def told(self, _wants: Mapping[int, ServiceSpec]) -> dict[str, str]:
        """Nobody chose."""
        return {}
