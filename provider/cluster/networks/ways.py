# SPDX-License-Identifier: Apache-2.0
"""Ways to nodes of networks as the cluster holds them: EndpointSlices, ours and those of pods' Services.

A write names the version that was read: a way that a newer book has changed meanwhile is left alone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import APPLIER, POD_LABEL, KubeObject
from trustedpods.provider.cluster.objects.network_nodes import local_policy
from trustedpods.provider.cluster.objects.network_nodes.ways import (
    LOCAL,
    MANAGED_BY,
    MANAGER,
    PUBLISHED,
    SLICE_OF,
    led_to,
)
from trustedpods.provider.core.networks.local_nodes import NodeWay, Passages, PublishedPort, WayEnd


@dataclass(frozen=True, slots=True)
class ServiceEnd:
    """Ready replicas behind a pod's Service, at one of their ports, as Kubernetes' controller found them."""

    namespace: str
    service: str
    transport: str
    port: int
    addresses: tuple[str, ...]


class NodeWays:
    """The part of the door to a cluster that is about ways between nodes."""

    _api: Api

    async def ways(self, namespace: str | None = None) -> list[NodeWay]:
        """The ways to nodes, of one namespace or of all, whose published address is known."""
        selector = f"{POD_LABEL},{MANAGED_BY}={MANAGER}"
        found = await self._api.items(path_of("EndpointSlice", namespace), selector)
        return [way for one in found if (way := way_of(one)) is not None]

    async def service_ends(self) -> list[ServiceEnd]:
        """Where all Services of pods lead."""
        selector = f"{POD_LABEL},{MANAGED_BY}!={MANAGER}"
        return ends_of(await self._api.items(path_of("EndpointSlice"), selector))

    async def lead(self, way: NodeWay) -> None:
        """Let a way lead where it says; one that was changed since, or is gone, stays as it is."""
        path = path_of("EndpointSlice", way.namespace, way.name)
        try:
            await self._api.merge(path, change_of(way))
        except (errors.NotThere, errors.Conflict):
            return

    async def passages(self) -> dict[str, KubeObject]:
        """The rules of each policy that opens nodes to each other, by namespace."""
        found = await self._api.items(path_of("NetworkPolicy"), local_policy.LABEL)
        return {one["metadata"]["namespace"]: one["spec"] for one in found}

    async def open_passages(self, namespace: str, passages: Passages | None) -> None:
        """Let these passages of a namespace be open, and no others; None takes their policy away.

        A namespace that is gone has none to open; errors.NamespaceEnding where it is going.
        """
        path = path_of("NetworkPolicy", namespace, local_policy.NAME)
        if passages is None:
            await self._api.delete(path)
            return
        try:
            await self._api.apply(path, local_policy.local_policy(namespace, passages), APPLIER)
        except errors.NotThere:
            return


def way_of(held: KubeObject) -> NodeWay | None:
    """One of our slices as a way; None where nobody confirmed its port, or somebody changed it by hand."""
    metadata = held["metadata"]
    notes = metadata.get("annotations") or {}
    try:
        transport, address, number = notes[PUBLISHED].split(" ")
        published = PublishedPort(transport, address, int(number))
        (port,) = held["ports"]
        end = WayEnd(_ready(held), port["port"])
    except (KeyError, ValueError, TypeError):
        return None
    return NodeWay(
        namespace=metadata["namespace"],
        name=metadata["name"],
        version=metadata.get("resourceVersion", ""),
        published=published,
        end=end,
        local=LOCAL in notes,
    )


def change_of(way: NodeWay) -> KubeObject:
    """The merge patch by which a slice leads where *way* says, if it is still of that version."""
    named = "-".join(way.name.split("-")[-2:])  # a slice's name ends with its port's, `tcp-8080`
    notes = {LOCAL: "yes" if way.local else None}
    return {
        "metadata": {"resourceVersion": way.version, "annotations": notes},
        **led_to(named, way.published.transport, way.end),
    }


def ends_of(slices: Iterable[KubeObject]) -> list[ServiceEnd]:
    """What Kubernetes' slices say, those of one Service's port together."""
    found: dict[tuple[str, str, str, int], list[str]] = {}
    for one in slices:
        if one.get("addressType") != "IPv4":
            continue
        for port in one.get("ports") or ():
            key = (
                one["metadata"]["namespace"],
                one["metadata"].get("labels", {}).get(SLICE_OF, ""),
                port.get("protocol", "TCP"),
                _number(port),
            )
            found.setdefault(key, []).extend(_ready(one))
    return [ServiceEnd(*key, tuple(sorted(set(addresses)))) for key, addresses in found.items()]


def _number(port: Mapping[str, object]) -> int:
    number = port.get("port")
    return number if isinstance(number, int) else 0


def _ready(held: KubeObject) -> tuple[str, ...]:
    """Addresses of the endpoints that are ready: those of which nothing is said are."""
    ready = [
        address
        for one in held.get("endpoints") or ()
        if (one.get("conditions") or {}).get("ready") is not False
        for address in one["addresses"]
    ]
    return tuple(sorted(ready))
