# SPDX-License-Identifier: Apache-2.0
"""Nodes of a network in the cluster of those who call them: where their ways lead, and who gets in. Pure.

A published port of the cluster's own nodes leads nowhere from a Service: addresses are translated once. So a
way to such a port leads to the replicas themselves. That it is such a port the provider knows by what it
publishes; of the book, which a tenant wrote, nothing else is believed.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from trustedpods.protocol.ids import Address, ChannelId
from trustedpods.provider.core.networks.book import is_address


class PublishedPort(NamedTuple):
    """Where a port is reached from outside: TCP or UDP, an address of IPv4 or a host's name, and the port."""

    transport: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class WayEnd:
    """Where a way leads: addresses of ready replicas, and their port."""

    addresses: tuple[str, ...]
    port: int


@dataclass(frozen=True, slots=True)
class NodeWay:
    """One port of a node that is called, as the cluster holds the way to it.

    `published` is where the book says that it is, and `local` whether `end` is replicas of this cluster.
    """

    namespace: str
    name: str
    version: str
    published: PublishedPort
    end: WayEnd
    local: bool


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Whose a namespace is: the pod, by its channel, and its publisher."""

    channel: ChannelId
    publisher: Address


@dataclass(frozen=True, slots=True)
class LocalPort:
    """A port that a pod of this cluster publishes at nodes, or at a load balancer.

    `namespaces` are those of its versions. `end` is None while the cluster has no Service for it: a pod that
    is stopped, or retained, or whose Services are on their way to another version.
    """

    tenancy: Tenancy
    namespaces: tuple[str, ...]
    end: WayEnd | None


class Passage(NamedTuple):
    """Between a namespace and another one, at a container's port."""

    namespace: str
    transport: str
    port: int


@dataclass(frozen=True, slots=True)
class Passages:
    """What is open between a namespace and others: `out` to their replicas, `into` its own."""

    out: tuple[Passage, ...] = ()
    into: tuple[Passage, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalWays:
    """What is to be: the ways that lead elsewhere than they do, and all passages, by namespace."""

    changed: tuple[NodeWay, ...] = ()
    passages: Mapping[str, Passages] = field(default_factory=dict)


def local_ways(
    ways: Sequence[NodeWay], ports: Mapping[PublishedPort, LocalPort], tenants: Mapping[str, Tenancy]
) -> LocalWays:
    """What *ways* become, where *ports* are published by pods of this cluster; *tenants* by namespace.

    A pod of another publisher is reached only by pods that it calls itself: so both have agreed.
    """
    agreed = _agreed(ways, ports, tenants)
    changed, out, into = [], defaultdict[str, set[Passage]](set), defaultdict[str, set[Passage]](set)
    for way in ways:
        tenant, port = tenants.get(way.namespace), ports.get(way.published)
        mine = tenant is not None and port is not None and (tenant.channel, port.tenancy.channel) in agreed
        if not mine or port is None:
            wanted, local = _far(way), False
        else:
            wanted, local = port.end or WayEnd((), way.end.port), port.end is not None or way.local
            for callee in port.namespaces if local else ():
                out[way.namespace].add(Passage(callee, way.published.transport, wanted.port))
                into[callee].add(Passage(way.namespace, way.published.transport, wanted.port))
        if (wanted, local) != (way.end, way.local):
            changed.append(NodeWay(way.namespace, way.name, way.version, way.published, wanted, local))
    passages = {name: Passages(tuple(sorted(out[name])), tuple(sorted(into[name]))) for name in {*out, *into}}
    return LocalWays(tuple(changed), passages)


def _agreed(
    ways: Sequence[NodeWay], ports: Mapping[PublishedPort, LocalPort], tenants: Mapping[str, Tenancy]
) -> Collection[tuple[ChannelId, ChannelId]]:
    """Pairs of who calls and who is called: of one publisher, or calling each other."""
    called = [
        (tenants[way.namespace], ports[way.published].tenancy)
        for way in ways
        if way.namespace in tenants and way.published in ports
    ]
    pairs = {(caller.channel, callee.channel) for caller, callee in called}
    return {
        (caller.channel, callee.channel)
        for caller, callee in called
        if caller.channel != callee.channel
        and (caller.publisher == callee.publisher or (callee.channel, caller.channel) in pairs)
    }


def _far(way: NodeWay) -> WayEnd:
    address = way.published.address
    return WayEnd((address,) if is_address(address) else (), way.published.port)
