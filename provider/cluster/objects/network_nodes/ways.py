# SPDX-License-Identifier: Apache-2.0
"""The way to each node that a pod calls: a Service without selector, which stays, and where it leads. Pure.

The Service's address is what the node's stable name means in the pod's cluster. When the far node moves only
the EndpointSlices behind it change. A port that nobody confirmed yet, or that is published under a host's
name, leads nowhere: who calls is refused at once, by the node's own kernel.
"""

from collections.abc import Iterator

from trustedpods.manifests.check.nodes import PEER
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.network_policy import policy
from trustedpods.provider.core.networks.book import is_address, opened

SLICE_OF = "kubernetes.io/service-name"
MANAGED_BY, MANAGER = "endpointslice.kubernetes.io/managed-by", "trustedpods.dev"
"""Labels by which kube-proxy knows whose endpoints these are, and Kubernetes' controllers let them be."""

CALLS_NODES = "nodes-called"
"""The NetworkPolicy that opens the published addresses."""


def service_of(node: str) -> str:
    """The name of the Service that leads to *node*."""
    return PEER + node


def names_of(book: NetworkBook) -> dict[str, str]:
    """The stable name of each node that is called, and the Service that it means."""
    return {book.name_of(node): service_of(node) for node in book.nodes}


def ways(book: NetworkBook) -> Iterator[KubeObject]:
    """The Services and EndpointSlices, and the policy that lets replicas out to exactly what is published."""
    for node in book.nodes:
        entries = book.of(node)
        yield _service(node, entries)
        yield from _slices(node, entries)
    rules = [
        {
            "to": [{"ipBlock": {"cidr": f"{entry.address}/32"}}],
            "ports": [{"protocol": entry.transport, "port": entry.published}],
        }
        for entry in opened(book)
    ]
    yield policy(CALLS_NODES, {"policyTypes": ["Egress"], "egress": rules})


def gone(before: NetworkBook, book: NetworkBook) -> list[tuple[str, str]]:
    """Kinds and names of what was made for nodes of *before* that *book* does not have."""
    kept = {_named(one) for one in ways(book)}
    return [_named(one) for one in ways(before) if _named(one) not in kept]


def _named(one: KubeObject) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]


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


def _slices(node: str, entries: list[BookEntry]) -> Iterator[KubeObject]:
    """One for each port: each may be published at an address of its own, or at none yet."""
    for entry in entries:
        known = is_address(entry.address)
        yield {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{service_of(node)}-{_port_name(entry)}",
                "labels": {SLICE_OF: service_of(node), MANAGED_BY: MANAGER},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [entry.address], "conditions": {"ready": True}}] if known else [],
            "ports": [
                {
                    "name": _port_name(entry),
                    "protocol": entry.transport,
                    "port": entry.published if known else entry.port,
                }
            ],
        }


def _port_name(entry: BookEntry) -> str:
    return f"{entry.transport.lower()}-{entry.port}"
