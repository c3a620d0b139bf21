# SPDX-License-Identifier: Apache-2.0
"""The walls around a pod: its namespace's labels, its quota, who may connect. Pure."""

from collections.abc import Sequence
from typing import Any

from trustedpods.manifests.model import PodManifest
from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.core import egress

SURGE = 1
"""Replicas above the maximum while a new version takes over."""


def namespace(name: str, label: str) -> dict[str, Any]:
    """The namespace of one life of a pod; Kubernetes refuses in it what is not `restricted`."""
    labels = {
        POD_LABEL: label,
        "app.kubernetes.io/managed-by": "trustedpods",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def quota(manifest: PodManifest) -> dict[str, Any]:
    """The most that the namespace can ever hold, whatever the scaler does.

    There is room for every replica twice, because one that ends keeps its share for its last
    seconds while its successor starts, and for the surge of an update.
    """
    replicas = 2 * manifest.spec.scale.max + SURGE
    limits = manifest.replica_limits
    sizes = {
        "cpu": f"{replicas * limits.cpu}m",
        "memory": f"{replicas * limits.memory}Mi",
        "ephemeral-storage": f"{replicas * limits.ephemeral_storage}Mi",
    }
    volumes = [volume for volume in manifest.spec.volumes if volume.persistent]
    hard = {f"{side}.{name}": size for side in ("requests", "limits") for name, size in sizes.items()}
    hard |= {
        "pods": str(replicas),
        "requests.storage": f"{manifest.volume_mib}Mi",
        "persistentvolumeclaims": str(len(volumes)),
        "services": "0",
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "size"},
        "spec": {"hard": hard},
    }


def policies(
    manifest: PodManifest, ingress_from: Sequence[str], closed: Sequence[str]
) -> list[dict[str, Any]]:
    """Nobody in, nobody out; then the facade in, on the ports it serves or probes; then out what is asked.

    Refused (rule `egress`) where the manifest asks for a network that is *closed* to all pods.
    """
    made = [_policy("deny", {"policyTypes": ["Ingress", "Egress"]})]
    ports = facade_ports(manifest)
    if ports and ingress_from:
        rule = {
            "from": [{"ipBlock": {"cidr": cidr}} for cidr in ingress_from],
            "ports": [{"protocol": "TCP", "port": port} for port in ports],
        }
        made.append(_policy("facade", {"policyTypes": ["Ingress"], "ingress": [rule]}))
    opened = egress.openings(manifest.spec.network, closed)
    if opened:
        rules = [_egress_rule(opening) for opening in opened]
        made.append(_policy("egress", {"policyTypes": ["Egress"], "egress": rules}))
    return made


def _egress_rule(opening: egress.Opening) -> dict[str, Any]:
    block: dict[str, Any] = {"cidr": opening.cidr}
    if opening.excepts:
        block["except"] = list(opening.excepts)
    ports = [{"protocol": name, "port": first, "endPort": last} for name, first, last in opening.ports]
    return {"to": [{"ipBlock": block}], "ports": ports}


def facade_ports(manifest: PodManifest) -> list[int]:
    """Container ports that the facade connects to: those it serves and those it probes."""
    ports = {port.target for service in manifest.exposed_services for port in service.ports}
    for container in manifest.spec.containers:
        probe = container.readiness_probe
        if probe is not None:
            ports |= {side.port for side in (probe.http_get, probe.tcp_socket) if side is not None}
    return sorted(ports)


def _policy(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {}, **spec},
    }
