# SPDX-License-Identifier: Apache-2.0
"""Keeps the ways between nodes of one cluster: they lead to ready replicas, and both sides let them.

Everything is read from the cluster and the records at each look, so a daemon that starts anew goes on, and
whatever moves, stops or goes is followed.
"""

import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import trio

from trustedpods.manifests.spec.service import AT_NODES
from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.cluster.networks.ways import ServiceEnd
from trustedpods.provider.cluster.objects.network_nodes.local_policy import local_policy
from trustedpods.provider.cluster.views import ServiceView
from trustedpods.provider.core.networks.local_nodes import (
    LocalPort,
    Passages,
    PublishedPort,
    Tenancy,
    WayEnd,
    local_ways,
)
from trustedpods.provider.core.pod import PodRecord, ServiceExposure
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.exposure import Site
from trustedpods.provider.lifecycle.pod_variables import site_of
from trustedpods.provider.lifecycle.seldom import SeldomWarnings
from trustedpods.provider.pods.records import Pods

_log = logging.getLogger(__name__)

LOOK_S = 1.0
"""A replica that moved is called again this much later at most. Without such pods nothing is asked."""


class LocalNodes:
    """All ways of the cluster; one look every `LOOK_S`."""

    def __init__(self, doors: Doors, pods: Pods) -> None:
        self._doors = doors
        self._pods = pods
        self._warnings = SeldomWarnings(_log)
        self._opened = True
        """Whether there may be policies: who led before may have left some."""
        self._leading = True
        """Whether a way may lead to a pod of this cluster, for the same reason."""

    async def run(self) -> None:
        """Look for ever; what cannot be read or written now is tried again, and stays as it is until then."""
        while True:
            await self._guarded("look", self.look)
            await trio.sleep(LOOK_S)

    async def look(self) -> None:
        """One look. Passages are opened before ways lead through them."""
        cluster = self._doors.cluster
        records = self._pods.standing
        pods = [PublishingPod(one, site_of(one, self._doors.config)) for one in records if at_nodes(one)]
        addresses = {address for pod in pods for address in pod.addresses()}
        if not (self._opened or self._leading or addresses):
            return
        ways = await cluster.ways()
        self._leading = any(way.local for way in ways)
        if not self._opened and not any(way.local or way.published.address in addresses for way in ways):
            return
        ports = ports_of(pods, await cluster.services(), await cluster.service_ends())
        wanted = local_ways(ways, ports, _tenants(records))
        looked_at = await self._open(wanted.passages)
        self._warnings.keep_only({*looked_at, *((way.namespace, way.name) for way in ways)})
        for way in wanted.changed:
            await self._guarded((way.namespace, way.name), partial(cluster.lead, way))

    async def _open(self, wanted: Mapping[str, Passages]) -> set[str]:
        """Write policies that are others than *wanted*; the namespaces that have or want one."""
        cluster = self._doors.cluster
        held = await cluster.passages()
        for namespace in wanted.keys() | held.keys():
            made = wanted.get(namespace)
            if made is None or local_policy(namespace, made)["spec"] != held.get(namespace):
                await self._guarded(namespace, partial(cluster.open_passages, namespace, made))
        self._opened = bool(wanted or held)
        return {*wanted, *held}

    async def _guarded(self, subject: Hashable, work: Callable[[], Awaitable[None]]) -> None:
        """Do *work*; what fails is told seldom, and keeps nothing else from being done."""
        try:
            await work()
        except TrustedPodsError as error:
            self._warnings.warn(subject, f"ways between nodes of this cluster: {error}")
        else:
            self._warnings.well(subject)


def at_nodes(record: PodRecord) -> list[tuple[str, ServiceExposure]]:
    """A pod's services that the cluster publishes by itself; the facade's are called as from anywhere."""
    return [(name, one) for name, one in record.exposures.items() if one.expose in AT_NODES]


@dataclass(frozen=True, slots=True)
class PublishingPod:
    """A pod and how it is reached from outside, as its record has it."""

    record: PodRecord
    site: Site

    def addresses(self) -> Iterator[str]:
        """Where its services are reached that are published at nodes."""
        for _, given in at_nodes(self.record):
            yield from given.addresses or (self.site.node or self.site.host,)


def ports_of(
    pods: Iterable[PublishingPod], services: Iterable[ServiceView], ends: Iterable[ServiceEnd]
) -> dict[PublishedPort, LocalPort]:
    """What the *pods* publish at nodes, each port with its ready replicas.

    Of two pods that have had one port in turn it is the one's whose Service has it.
    """
    views = {(one.namespace, one.name): one for one in services}
    ready = {(one.namespace, one.service, one.transport, one.port): one.addresses for one in ends}
    found: dict[PublishedPort, LocalPort] = {}
    for pod in pods:
        spaces = _namespaces(pod.record)
        for name, given in at_nodes(pod.record):
            there = [views[space, name] for space in spaces if (space, name) in views]
            for published, view, target in _published(pod.site, given, there):
                end = None
                if view is not None:
                    key = (view.namespace, name, published.transport, target)
                    end = WayEnd(ready.get(key, ()), target)
                if end is not None or published not in found:
                    found[published] = LocalPort(_tenancy(pod.record), spaces, end)
    return found


def _published(
    site: Site, given: ServiceExposure, views: list[ServiceView]
) -> Iterator[tuple[PublishedPort, ServiceView | None, int]]:
    """Each port of one service: where it is published, the Service that has it now, and its target there."""
    for one in given.node_ports:
        view = next((view for view in views if one in view.node_ports), None)
        targets = {} if view is None else {(kind, port): target for kind, port, target in view.targets}
        published = PublishedPort(one.protocol, site.node or site.host, one.node_port)
        yield published, view, targets.get((one.protocol, one.port), one.port)
    for address in given.addresses:
        # Of a Service that has none now the record keeps the one before, and it may be another pod's.
        view = next((view for view in views if address in view.addresses), None)
        for kind, port, target in () if view is None else view.targets:
            yield PublishedPort(kind, address, port), view, target


def _namespaces(record: PodRecord) -> tuple[str, ...]:
    return (record.namespace,) if record.other is None else (record.namespace, record.other)


def _tenancy(record: PodRecord) -> Tenancy:
    return Tenancy(record.channel, record.ref.publisher)


def _tenants(records: Iterable[PodRecord]) -> dict[str, Tenancy]:
    return {namespace: _tenancy(record) for record in records for namespace in _namespaces(record)}
