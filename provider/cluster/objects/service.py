# SPDX-License-Identifier: Apache-2.0
"""The Service of each service of a manifest: its stable address in the cluster, its ports on nodes. Pure.

A Service opens nothing: who may connect is for the NetworkPolicies to say.
"""

from typing import Any

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.cluster.objects.ingress.ingress import annotations
from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject
from trustedpods.provider.core.pod import ServiceExposure

KIND = "Service"


def service(part: Service, label: str, kept: ServiceExposure | None = None) -> KubeObject:
    """The Service of *part*, for the pod's replicas under *label*; it has the addresses that it *kept*."""
    spec: dict[str, Any] = {
        **_reached_by(part),
        "selector": {POD_LABEL: label},
        "ports": [_port(part, index, kept) for index in range(len(part.ports))],
    }
    if part.known_by == "ip":
        spec["sessionAffinity"] = "ClientIP"
    if kept is not None and kept.cluster_ip is not None:
        spec["clusterIP"] = kept.cluster_ip
    if kept is not None and kept.expose == part.expose == "loadBalancer" and kept.addresses:
        spec["loadBalancerIP"] = kept.addresses[0]
    metadata: dict[str, Any] = {"name": part.name}
    if told := annotations(part):
        metadata["annotations"] = told
    return {"apiVersion": "v1", "kind": KIND, "metadata": metadata, "spec": spec}


def without_addresses(wanted: KubeObject) -> KubeObject:
    """The same Service, for whatever addresses there are."""
    ports = [
        {key: value for key, value in port.items() if key != "nodePort"} for port in wanted["spec"]["ports"]
    ]
    spec = {key: value for key, value in wanted["spec"].items() if key != "clusterIP"}
    return {**wanted, "spec": {**spec, "ports": ports}}


def _reached_by(part: Service) -> dict[str, Any]:
    """Its type. `Local` keeps callers' addresses and serves on nodes with a replica, `Cluster` on any."""
    if part.expose == "nodePort":
        return {"type": "NodePort", "externalTrafficPolicy": "Local"}
    if part.expose == "udp":
        return {"type": "NodePort", "externalTrafficPolicy": "Cluster"}
    if part.expose == "loadBalancer":
        traffic = {"externalTrafficPolicy": "Local", "allocateLoadBalancerNodePorts": False}
        return {"type": "LoadBalancer", **traffic}
    return {"type": "ClusterIP"}


def _port(part: Service, index: int, kept: ServiceExposure | None) -> dict[str, Any]:
    port = part.ports[index]
    made: dict[str, Any] = {
        "name": f"{port.protocol.lower()}-{port.port}",
        "protocol": port.protocol,
        "port": port.port,
        "targetPort": port.target,
    }
    if kept is not None and kept.expose == part.expose:
        for given in kept.node_ports:
            if (given.protocol, given.port) == (port.protocol, port.port):
                made["nodePort"] = given.node_port
    return made
