# SPDX-License-Identifier: Apache-2.0
"""The NetworkPolicies of a pod's namespace: who may connect, and where the pod may. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import AT_NODES, ServicePort
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.core import egress
from trustedpods.provider.core.names.own_pods import CALLS, MAY, NAMED


def policies(
    manifest: PodManifest,
    ingress_from: Sequence[str],
    closed: Sequence[str],
    callers: Sequence[str] = (),
    *,
    smtp: bool = False,
) -> list[KubeObject]:
    """Nobody in, nobody out; then the node, on ports served, probed or declared; then out what is asked.

    Ports that nodes serve by themselves are open to the world but for *closed* networks, and to *callers*.
    With *smtp* ports of mail are open like others.

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
    served = [
        port for service in manifest.spec.services if service.expose in AT_NODES for port in service.ports
    ]
    if served:
        made.append(
            policy("nodes", {"policyTypes": ["Ingress"], "ingress": [_world(served, closed, callers)]})
        )
    opened = egress.openings(manifest.spec.network, closed, smtp=smtp)
    if opened:
        rules = [_egress_rule(opening) for opening in opened]
        made.append(policy("egress", {"policyTypes": ["Egress"], "egress": rules}))
    return made


def _world(ports: Sequence[ServicePort], closed: Sequence[str], callers: Sequence[str]) -> KubeObject:
    """From outside to container ports: other pods' and the operator's own addresses are closed."""
    world = {"cidr": "0.0.0.0/0", "except": list(dict.fromkeys(closed))}
    return {
        "from": [{"ipBlock": world}, *({"ipBlock": {"cidr": caller}} for caller in callers)],
        "ports": _targets(ports),
    }


def _targets(ports: Sequence[ServicePort]) -> list[KubeObject]:
    """The container ports behind ports of services, each once."""
    targets = sorted({(port.protocol, port.target) for port in ports})
    return [{"protocol": protocol, "port": target} for protocol, target in targets]


def own_pods_policies(manifest: PodManifest, mark: str, called: Mapping[str, str]) -> list[KubeObject]:
    """Between pods of one publisher: who comes in, at the services without `expose`; then the way to others.

    *mark* is this pod's, *called* has those of the pods that it calls, by name (`core/names/own_pods.py`).
    Replicas are all that is reached of a namespace.
    """
    made = []
    unexposed = [port for one in manifest.spec.services if not one.exposed for port in one.ports]
    if unexposed:
        caller = {"namespaceSelector": {"matchLabels": {CALLS + mark: MAY}}}
        rule = {"from": [caller], "ports": _targets(unexposed)}
        made.append(policy("called", {"policyTypes": ["Ingress"], "ingress": [rule]}))
    rules = [
        {"to": [{"namespaceSelector": {"matchLabels": {NAMED: called[name]}}}], "ports": port_entries(ports)}
        for name, ports in sorted(egress.named_pods(manifest.spec.network).items())
    ]
    if rules:
        made.append(policy("calls", {"policyTypes": ["Egress"], "egress": rules}))
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
    """Container ports that the node connects to.

    Those that its facade serves, all that are probed, and all that are declared: for a port-forward.
    """
    ports = {port.target for service in manifest.facade_services for port in service.ports}
    for container in manifest.spec.running_containers:
        ports |= container.asked_ports
        ports |= {port.container_port for port in container.ports if port.protocol == "TCP"}
    return sorted(ports)


def own_sleep_policy(address: str, port: int) -> KubeObject:
    """The way to where the pod asks for its own sleep."""
    to = {"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": port_entries([("TCP", port, port)])}
    return policy("own-sleep", {"policyTypes": ["Egress"], "egress": [to]})


def policy(name: str, spec: KubeObject) -> KubeObject:
    """A policy over all pods of the namespace."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, **spec},
    }
