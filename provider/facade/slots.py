# SPDX-License-Identifier: Apache-2.0
"""Which service has which slot, and the host map that sends requests there. Pure.

The host map is the only record of who has which slot: it lies on disk, so neither a restart of
the daemon nor one of HAProxy moves a service. A service's own line begins with a colon, which no
host name can have, so HAProxy never finds it; the others are routes: a host, or a host and a path.
What HAProxy has is compared with what is wanted each time; nothing is remembered of what it was told.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trustedpods.protocol.errors import LocalProtocolError, Refused
from trustedpods.provider.core.traffic import PodAddress, SlotStats
from trustedpods.provider.facade.haproxy.config import backend_name, slot_of
from trustedpods.provider.facade.haproxy.maps import OF_A_SLOT, SlotMap
from trustedpods.provider.facade.pools import Pools, SlotProtocol

_HOST = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")
_PATH = re.compile(r"^(/\.?[0-9A-Za-z_~-][0-9A-Za-z._~-]{0,63}){0,8}$")

TCP_CONNECTIONS = 1024
"""Connections at once of a tcp service of which nobody said a number: its ports are closed without one."""


ANY_RATE = 1_000_000
"""Requests per second that no proxy carries: such a limit is none, and costs nothing."""


@dataclass(frozen=True, slots=True)
class SlotLimits:
    """What a slot lets through: at once, per second, bytes of a body. None is the provider's maximum.

    `stream_bytes` is for a body whose length is not announced; it is counted where a service asks for it.
    """

    connections: int | None = None
    rate: int | None = None
    body_bytes: int | None = None
    stream_bytes: int | None = None

    def within(self, most: "SlotLimits") -> "SlotLimits":
        """Each at most what *most* says."""
        return SlotLimits(
            _least(self.connections, most.connections),
            _least(self.rate, most.rate),
            _least(self.body_bytes, most.body_bytes),
            _least(self.stream_bytes, most.stream_bytes),
        )


UNLIMITED = SlotLimits()
"""No limit but those of all clients."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """One published service of a pod: its key, its routes, and where requests go.

    `label` is unique at this provider. A route of `hosts` is a host, or a host and a path below it.
    `pods` get requests; those in `draining` finish what they have and get no new ones; so does any
    other replica that HAProxy knows, and is then removed. `affinity` is what clients
    are known by where each keeps its replica: `ip`, `header:NAME` or `cookie:NAME`. `wished` is the slot that
    it had at another facade: its own here too if nobody has it.
    """

    label: str
    hosts: tuple[str, ...]
    pods: tuple[PodAddress, ...] = ()
    draining: tuple[PodAddress, ...] = ()
    protocol: SlotProtocol = SlotProtocol.HTTP
    limits: SlotLimits = UNLIMITED
    https_only: bool = False
    affinity: str | None = None
    wished: int | None = None

    def settings(self) -> dict[SlotMap, str]:
        """The slot's lines in the maps of settings."""
        limits = self.limits
        tcp = TCP_CONNECTIONS if self.protocol is SlotProtocol.TCP else None
        numbers: dict[SlotMap, int | str | None] = {
            SlotMap.CONNECTIONS: limits.connections or tcp,
            SlotMap.RATES: None if limits.rate is None or limits.rate >= ANY_RATE else limits.rate,
            SlotMap.BODIES: limits.body_bytes,
            SlotMap.STREAMS: limits.stream_bytes,
            SlotMap.HTTPS: 1 if self.https_only else None,
            SlotMap.AFFINITY: self.affinity,
        }
        return {which: str(number) for which, number in numbers.items() if number is not None}


@dataclass(frozen=True, slots=True)
class PublishedService:
    """A service's slot, and its counters before the first request: nothing up to there is its own."""

    slot: int
    stats: SlotStats


UnpublishedService = Refused | LocalProtocolError
"""Why one service of many has no slot."""


@dataclass(frozen=True, slots=True)
class FacadeState:
    """Everything that the facade should serve.

    Services in `asleep`, by their labels, surely have no replica: what their slots still hold is removed.
    Those of the pods in `untouched` are left as an earlier daemon made them; what they are is not known.
    """

    wants: tuple[ServiceSpec, ...] = ()
    asleep: frozenset[str] = frozenset()
    untouched: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Synced:
    """What a `sync` found: HAProxy's process, whether it is a new one, and every label's slot.

    `unfinished` are slots in which something is left to remove; the next `sync` goes on.
    """

    boot: str
    restarted: bool
    slots: dict[str, int]
    unfinished: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SlotTable:
    """Who has which slot. A slot in `leaving` belongs to nobody and is not free yet."""

    pools: Pools
    hosts: Mapping[str, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    leaving: frozenset[int] = frozenset()

    def free(self, protocol: SlotProtocol = SlotProtocol.HTTP) -> int:
        """How many services of this kind could still be published."""
        return len(set(self.pools.slots(protocol)) - self.used)

    @property
    def used(self) -> set[int]:
        """Slots that nobody else can have."""
        return {*self.hosts.values(), *self.labels.values(), *self.leaving}


def assign(
    table: SlotTable,
    label: str,
    hosts: tuple[str, ...],
    protocol: SlotProtocol = SlotProtocol.HTTP,
    wished: int | None = None,
) -> tuple[SlotTable, int]:
    """Give *label* a slot: the one it has, if it carries the protocol, or a free one, *wished* first.

    Raises Refused when no slot is free (rule `capacity-services`), or when a route is another's (rule
    `host-taken`).
    """
    for host in (label, *hosts):
        check_route(host)
    slot = table.labels.get(label)
    if slot is not None and slot not in table.pools.slots(protocol):
        table, slot = leave(table, slot), None
    for host in hosts:
        if table.hosts.get(host, slot) != slot:
            raise Refused(f"{host} belongs to another pod", rule="host-taken")
    if slot is not None and {host for host, at in table.hosts.items() if at == slot} == set(hosts):
        return table, slot
    if slot is None:
        slot = _free_slot(table, protocol, wished)
    kept = {host: at for host, at in table.hosts.items() if at != slot}
    labels = {**table.labels, label: slot}
    return replace(table, hosts={**kept, **dict.fromkeys(hosts, slot)}, labels=labels), slot


def leave(table: SlotTable, slot: int) -> SlotTable:
    """Take a slot's routes and tenant away; it is not free before `release`."""
    return replace(
        table,
        hosts={host: at for host, at in table.hosts.items() if at != slot},
        labels={label: at for label, at in table.labels.items() if at != slot},
        leaving=table.leaving | {slot},
    )


def release(table: SlotTable, slot: int) -> SlotTable:
    """Nothing of the last tenant is left in the slot: the next may have it."""
    return replace(table, leaving=table.leaving - {slot})


def routeless(table: SlotTable) -> SlotTable:
    """Lead nowhere, and let every service keep its slot."""
    return replace(table, hosts={})


def setting_lines(
    which: SlotMap,
    table: SlotTable,
    wants: Mapping[int, ServiceSpec],
    before: Mapping[SlotMap, Mapping[str, str]],
) -> dict[str, str]:
    """A map's lines: what is wanted, and of those *before* what a slot has whose want nobody knows yet."""
    if which is SlotMap.ASKING:
        asking = {backend for one in OF_A_SLOT for backend in setting_lines(one, table, wants, before)}
        return dict.fromkeys(asking, "1")
    taken = set(table.labels.values())
    lines = {
        backend: value
        for backend, value in before[which].items()
        if (slot := slot_of(backend)) in taken and slot not in wants
    }
    for slot, want in wants.items():
        if (value := want.settings().get(which)) is not None:
            lines[backend_name(slot)] = value
    return lines


def table_entries(table: SlotTable) -> dict[str, str]:
    """The host map. Each key ends with a slash: `a.example/` is no beginning of `a.example.org/`."""
    labels = {f":{label}/": backend_name(slot) for label, slot in table.labels.items()}
    return labels | {f"{host}/": backend_name(slot) for host, slot in table.hosts.items()}


def shared_hosts(table: SlotTable) -> dict[str, str]:
    """Hosts below which services are told apart by path: the map `SHARED`."""
    return {route.partition("/")[0]: "1" for route in table.hosts if "/" in route}


def parse_table(entries: Mapping[str, str], pools: Pools) -> SlotTable:
    """The table of a host map; lines that are not ours are left out."""
    hosts: dict[str, int] = {}
    labels: dict[str, int] = {}
    for key, backend in entries.items():
        slot = slot_of(backend)
        name = key.removesuffix("/")
        if slot is None or slot >= pools.total or name == key:
            continue
        if name.startswith(":") and _HOST.match(name[1:]):
            labels[name[1:]] = slot
        elif _is_route(name):
            hosts[name] = slot
    return SlotTable(pools, hosts, labels)


def orphans(table: SlotTable) -> frozenset[int]:
    """Slots that routes point to though nobody has them: left by a write that was cut off."""
    return frozenset(table.hosts.values()) - frozenset(table.labels.values())


def check_route(route: str) -> str:
    """*route* itself; LocalProtocolError if it could be anything but a host name and a path."""
    if not _is_route(route):
        raise LocalProtocolError(f"not a host name: {route!r}")
    return route


def _is_route(route: str) -> bool:
    host, slash, path = route.partition("/")
    return bool(_HOST.match(host) and ".." not in host and _PATH.match(slash + path))


def _least(wanted: int | None, most: int | None) -> int | None:
    given = [number for number in (wanted, most) if number is not None]
    return min(given) if given else None


def _free_slot(table: SlotTable, protocol: SlotProtocol, wished: int | None) -> int:
    used = table.used
    if wished is not None and wished in table.pools.slots(protocol) and wished not in used:
        return wished
    for slot in table.pools.slots(protocol):
        if slot not in used:
            return slot
    number = len(table.pools.slots(protocol))
    raise Refused(f"all {number} services of {protocol} that fit here are taken", rule="capacity-services")
