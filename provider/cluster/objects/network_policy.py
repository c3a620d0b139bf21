# SPDX-License-Identifier: Apache-2.0
"""The NetworkPolicies of a pod's namespace: who may connect, and where the pod may. Pure."""

from collections.abc import Sequence
from typing import Any

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.core import egress


def policies(manifest: PodManifest, ingress_from: Sequence[str], closed: Sequence[str]) -> list[KubeObject]:
    """Nobody in, nobody out; then the facade in, on the ports it serves or probes; then out what is asked.

    Refused (rule `egress`) where the manifest asks for a network that is *closed* to all pods.
    """
    made = [policy("deny", {"policyTypes": ["Ingress", "Egress"]})]
    ports = facade_ports(manifest)
    if ports and ingress_from:
        rule = {
            "from": [{"ipBlock": {"cidr": cidr}} for cidr in ingress_from],
            "ports": [{"protocol": "TCP", "port": port} for port in ports],
        }
        made.append(policy("facade", {"policyTypes": ["Ingress"], "ingress": [rule]}))
    opened = egress.openings(manifest.spec.network, closed)
    if opened:
        rules = [_egress_rule(opening) for opening in opened]
        made.append(policy("egress", {"policyTypes": ["Egress"], "egress": rules}))
    return made


def _egress_rule(opening: egress.EgressOpening) -> KubeObject:
    block: dict[str, Any] = {"cidr": opening.cidr}
    if opening.excepts:
        block["except"] = list(opening.excepts)
    return {"to": [{"ipBlock": block}], "ports": port_entries(opening.ports)}


def port_entries(ports: Sequence[egress.PortRange]) -> list[KubeObject]:
    """Ranges of ports as a rule holds them."""
    return [{"protocol": name, "port": first, "endPort": last} for name, first, last in ports]


def facade_ports(manifest: PodManifest) -> list[int]:
    """Container ports that the facade connects to: those it serves and those it probes."""
    ports = {port.target for service in manifest.exposed_services for port in service.ports}
    for container in manifest.spec.containers:
        probe = container.readiness_probe
        if probe is not None:
            ports |= {side.port for side in (probe.http_get, probe.tcp_socket) if side is not None}
    return sorted(ports)


def policy(name: str, spec: KubeObject) -> KubeObject:
    """A policy over all pods of the namespace."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, **spec},
    }
