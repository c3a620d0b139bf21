# SPDX-License-Identifier: Apache-2.0
"""What the daemon wants of the kernel, what that tells, and how it goes into the counters of a slot. Pure.

The node's agent judges what is wanted: nothing leads to an address that the named pod does not have.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from trustedpods.provider.core.traffic import PodTraffic, SlotStats

LEASE_S = 30
"""For how long the kernel leads new connections unasked; the agent takes no longer one."""


@dataclass(frozen=True, slots=True, order=True)
class KernelWay:
    """New connections of the facade's *port* go to port *target* of the *pod* (its label) at *address*.

    Beyond `most` at once they are refused.
    """

    port: int
    pod: str
    address: str
    target: int
    most: int


@dataclass(frozen=True, slots=True)
class WaysWanted:
    """All of them. `owners` are the labels of pods that have ports, led by the kernel or not.

    Connections of a port that is not its pod's any more end. `per_source`: at once, of one client address.
    """

    ways: tuple[KernelWay, ...] = ()
    owners: Mapping[int, str] = field(default_factory=dict)
    per_source: int = 1


@dataclass(frozen=True, slots=True)
class WayLoad:
    """What passes a port to one address: `open` connections; `moved` grows with each and with each byte.

    `newest_s` is the age of the newest one that the kernel remembers.
    """

    port: int
    address: str
    open: int
    moved: int
    newest_s: int | None = None


@dataclass(frozen=True, slots=True)
class LedConnection:
    """One that is open; `age_s` since the agent saw it first."""

    source: str
    source_port: int
    port: int
    address: str
    target: int
    age_s: int = 0


@dataclass(frozen=True, slots=True)
class WaysTold:
    """Which ports lead to pods now, and what passes there."""

    leading: frozenset[int] = frozenset()
    loads: tuple[WayLoad, ...] = ()
    connections: tuple[LedConnection, ...] = ()


class WaysDoor(Protocol):
    """The agent of the node that the facade is on."""

    async def tell(
        self, wanted: WaysWanted, cut: Iterable[LedConnection] = (), *, connections: bool = False
    ) -> WaysTold:
        """Let the kernel do exactly what is wanted, for `LEASE_S`; *cut* ends connections.

        With *connections* those that are open are told one by one. NetworkFailure where the agent does not
        answer or cannot do it.
        """
        ...


def with_led(
    stats: SlotStats, loads: Iterable[WayLoad], led: Collection[str], names: Mapping[str, str]
) -> SlotStats:
    """A slot's counters with the connections that the kernel carries; *names* are replicas by address.

    Replicas at the addresses in *led* may get new ones. Bytes are counted as the replica's own
    (`cluster/pod_counters`): here they only show that something moves.
    """
    pods = {pod.name: pod for pod in stats.pods}
    for name in [name for address, name in names.items() if address in led]:
        pods[name] = replace(pods.get(name, PodTraffic(name, 0, serving=True)), serving=True)
    current, moved, ages = stats.current, 0, list[int]()
    for one in loads:
        current += one.open
        moved += one.moved
        ages += [] if one.newest_s is None else [one.newest_s]
        replica = names.get(one.address)
        if replica is not None and one.open:
            seen = pods.get(replica, PodTraffic(replica, 0, serving=False))
            pods[replica] = replace(seen, current=seen.current + one.open)
    return replace(
        stats, current=current, pods=tuple(pods.values()), led=moved, newest_led_s=min(ages, default=None)
    )


def unknown_loads(led: Iterable[KernelWay], last: Iterable[WayLoad], looks: int) -> tuple[WayLoad, ...]:
    """While the agent does not answer, for the *looks*-th time: something may move, so pods stay awake."""
    known = {(one.port, one.address): one for one in last}
    for way in led:
        known.setdefault((way.port, way.address), WayLoad(way.port, way.address, 0, 0))
    return tuple(
        WayLoad(one.port, one.address, max(1, one.open), one.moved + looks, 0) for one in known.values()
    )
