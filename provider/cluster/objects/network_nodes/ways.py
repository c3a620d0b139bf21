# SPDX-License-Identifier: Apache-2.0
"""The way to each node that a pod calls: a Service without selector, which stays, and where it leads. Pure.

The Service's address is what the node's stable name means in the pod's cluster. When the far node moves only
the EndpointSlices behind it change. A port that nobody confirmed yet, or that is published under a host's
name, leads nowhere: who calls is refused at once, by the node's own kernel. Where the node runs in the same
cluster they lead to its replicas (`local_nodes.py`).
"""

from collections.abc import Iterator, Mapping

from trustedpods.manifests.check.nodes import PEER
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.network_policy import policy
from trustedpods.provider.core.networks.book import is_address, opened
from trustedpods.provider.core.networks.local_nodes import PublishedPort, WayEnd

SLICE_OF = "kubernetes.io/service-name"
MANAGED_BY, MANAGER = "endpointslice.kubernetes.io/managed-by", "trustedpods.dev"
"""Labels by which kube-proxy knows whose endpoints these are, and Kubernetes' controllers let them be."""

PUBLISHED = "trustedpods.dev/published"
"""Annotation of a slice: where its port is published, `TCP ADDRESS PORT`. None while nobody confirmed it."""

LOCAL = "trustedpods.dev/local"
"""Annotation of a slice that leads to replicas of its own cluster; its value is `yes`."""

CALLS_NODES = "nodes-called"
"""The NetworkPolicy that opens the published addresses."""


def service_of(node: str) -> str:
    """The name of the Service that leads to *node*."""
    return PEER + node


def names_of(book: NetworkBook) -> dict[str, str]:
    """The stable name of each node that is called, and the Service that it means."""
    return {book.name_of(node): service_of(node) for node in book.nodes}


def ways(book: NetworkBook, local: Mapping[PublishedPort, WayEnd]) -> Iterator[KubeObject]:
    """The Services and EndpointSlices, and the policy that lets replicas out to exactly what is published.

    What is known to be *local* leads to replicas of this cluster.
    """
    for node in book.nodes:
        entries = book.of(node)
        yield _service(node, entries)
        yield from (_slice(service_of(node), entry, local) for entry in entries)
    rules = [
        {
            "to": [{"ipBlock": {"cidr": f"{entry.address}/32"}}],
            "ports": [{"protocol": entry.transport, "port": entry.published}],
        }
        for entry in opened(book)
    ]
    yield policy(CALLS_NODES, {"policyTypes": ["Egress"], "egress": rules})


def callers(book: NetworkBook) -> tuple[str, ...]:
    """The addresses, as networks, from which nodes that are called may call back."""
    return tuple(dict.fromkeys(f"{entry.address}/32" for entry in opened(book)))


def _service(node: str, entries: list[BookEntry]) -> KubeObject:
    ports = [
        {"name": _port_name(one), "protocol": one.transport, "port": one.port, "targetPort": one.port}
        for one in entries
    ]
    metadata = {"name": service_of(node)}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"type": "ClusterIP", "ports": ports},
    }


def _slice(service: str, entry: BookEntry, local: Mapping[PublishedPort, WayEnd]) -> KubeObject:
    """One for each port: each may be published at an address of its own, or at none yet."""
    published = PublishedPort(entry.transport, entry.address, entry.published)
    end, notes = local.get(published), {PUBLISHED: " ".join(map(str, published))}
    if end is not None:
        notes[LOCAL] = "yes"
    elif is_address(entry.address):
        end = WayEnd((entry.address,), entry.published)
    metadata = {
        "name": f"{service}-{_port_name(entry)}",
        "labels": {SLICE_OF: service, MANAGED_BY: MANAGER},
        **({"annotations": notes} if entry.address else {}),
    }
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        **led_to(_port_name(entry), entry.transport, end or WayEnd((), entry.published or entry.port)),
    }


def led_to(port_name: str, transport: str, end: WayEnd) -> KubeObject:
    """The part of a slice that says where it leads: one endpoint for each address."""
    return {
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in end.addresses],
        "ports": [{"name": port_name, "protocol": transport, "port": end.port}],
    }


def _port_name(entry: BookEntry) -> str:
    return f"{entry.transport.lower()}-{entry.port}"
