# SPDX-License-Identifier: Apache-2.0
"""The two NetworkPolicies of a pod that calls hosts by name: whom it asks, and what the answers opened. Pure.

`names` is one of the pod's own objects: it opens the way to the provider's resolver and says, in an
annotation, which hosts that answers. `egress-names` is the resolver's: rewritten whole with each answer and
each end.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject
from trustedpods.provider.cluster.objects.network_policy import policy, port_entries
from trustedpods.provider.core.egress import PortRange
from trustedpods.provider.core.names.opened import Opened

ASKS = "names"
OPENED = "egress-names"

HOSTS_NOTE = "trustedpods.dev/hosts"
"""Annotation of `names`: a JSON map from each host to its ranges of ports."""

PODS_NOTE = "trustedpods.dev/pods"
"""Annotation of `names`: a JSON map from the name of each pod that may be called to its mark."""

NODES_NOTE = "trustedpods.dev/nodes"
"""Annotation of `names`: a JSON map from the stable name of each node that is called to its Service."""

OPENED_NOTE = "trustedpods.dev/opened"
"""Annotation of `egress-names`: a JSON list of host, address, and the Unix second at which it closes."""

Hosts = Mapping[str, tuple[PortRange, ...]]


@dataclass(frozen=True, slots=True)
class ResolverPlace:
    """Where the provider's resolver is: pods ask *address* at port 53, and reach *listens* at *port*.

    The two differ where a Service stands between them: a policy is judged by some networks before its
    address is translated and by some after, so both are opened.
    """

    address: str
    listens: str
    port: int


def asks_policy(
    place: ResolverPlace, hosts: Hosts, pods: Mapping[str, str], nodes: Mapping[str, str] | None = None
) -> KubeObject:
    """The way to the resolver, and what it answers.

    That is *hosts*, *pods* of the publisher with their marks, and *nodes* by their names with their Services.
    """
    ends = sorted({(place.address, 53), (place.listens, place.port)})
    rules = [
        {
            "to": [{"ipBlock": {"cidr": f"{address}/32"}}],
            "ports": port_entries([("UDP", port, port), ("TCP", port, port)]),
        }
        for address, port in ends
    ]
    made = policy(ASKS, {"policyTypes": ["Egress"], "egress": rules})
    note = json.dumps({host: [list(ports) for ports in ranges] for host, ranges in hosts.items()})
    notes = {HOSTS_NOTE: note, PODS_NOTE: json.dumps(dict(pods))}
    if nodes:
        notes[NODES_NOTE] = json.dumps(dict(nodes))
    return {**made, "metadata": {**made["metadata"], "annotations": notes}}


def opened_policy(namespace: str, label: str, hosts: Hosts, opened: Opened) -> KubeObject:
    """What the answers opened, of the hosts that are allowed now; one rule for all of equal ports."""
    by_ports: dict[tuple[PortRange, ...], set[str]] = {}
    kept = [(host, address, until) for (host, address), until in opened.items() if host in hosts]
    for host, address, _ in kept:
        by_ports.setdefault(tuple(sorted(hosts[host])), set()).add(address)
    rules = [
        {
            "to": [{"ipBlock": {"cidr": f"{address}/32"}} for address in sorted(addresses)],
            "ports": port_entries(ports),
        }
        for ports, addresses in sorted(by_ports.items())
    ]
    made = policy(OPENED, {"policyTypes": ["Egress"], "egress": rules})
    metadata = {
        "name": OPENED,
        "namespace": namespace,
        "labels": {POD_LABEL: label},
        "annotations": {OPENED_NOTE: json.dumps(sorted(kept))},
    }
    return {**made, "metadata": metadata}


def hosts_of(found: KubeObject) -> Hosts:
    """The hosts in a `names` policy as the cluster holds it; RemoteProtocolError where it makes no sense."""
    try:
        note = json.loads(found["metadata"]["annotations"][HOSTS_NOTE])
        return {str(host): tuple(_range(one) for one in ranges) for host, ranges in note.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as wrong:
        raise RemoteProtocolError(f"policy {ASKS} holds no hosts: {wrong!r}") from None


def pods_of(found: KubeObject) -> Mapping[str, str]:
    """The pods in a `names` policy, with their marks; RemoteProtocolError where it makes no sense."""
    try:
        note = json.loads(found["metadata"]["annotations"][PODS_NOTE])
        return {str(name): str(mark) for name, mark in note.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as wrong:
        raise RemoteProtocolError(f"policy {ASKS} holds no pods: {wrong!r}") from None


def nodes_of(found: KubeObject) -> Mapping[str, str]:
    """The nodes in a `names` policy, with their Services; RemoteProtocolError where it makes no sense."""
    try:
        note = json.loads(found["metadata"]["annotations"].get(NODES_NOTE, "{}"))
        return {str(name): str(service) for name, service in note.items()}
    except (KeyError, ValueError, TypeError, AttributeError) as wrong:
        raise RemoteProtocolError(f"policy {ASKS} holds no nodes: {wrong!r}") from None


def opened_of(found: KubeObject | None) -> Opened:
    """What an `egress-names` policy says is open; nothing where there is none."""
    if found is None:
        return {}
    try:
        note = json.loads(found["metadata"]["annotations"][OPENED_NOTE])
        return {(str(host), str(address)): int(until) for host, address, until in note}
    except (KeyError, ValueError, TypeError) as wrong:
        raise RemoteProtocolError(f"policy {OPENED} does not say what is open: {wrong!r}") from None


def _range(entry: Sequence[object]) -> PortRange:
    protocol, first, last = entry
    if protocol not in ("TCP", "UDP", "SCTP") or type(first) is not int or type(last) is not int:
        raise ValueError(f"ports {entry}")
    return protocol, first, last
