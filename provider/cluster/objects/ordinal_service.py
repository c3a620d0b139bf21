# SPDX-License-Identifier: Apache-2.0
"""The Services of replicas that have a name of their own: one without an address for all, one for each. Pure.

A replica's Service has an address that stays when the replica comes back with another, on another node; it
leads there before the replica is ready, since replicas that wait for each other would else never be.
"""

from collections.abc import Sequence
from typing import Any

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import POD_LABEL, WORKLOAD, KubeObject
from trustedpods.provider.cluster.objects.workload.stateful_set import ORDINAL_LABEL, replica_name

HEADLESS = "None"
"""The `clusterIP` of a Service that has no address: its controller demands one for the replicas' names."""


def ordinal_services(manifest: PodManifest, label: str) -> list[KubeObject]:
    """The Services of a `stateful` pod, none for another; *label* is the pod's host label."""
    if manifest.spec.workload != "stateful":
        return []
    ports = _ports(manifest)
    made = [_service(WORKLOAD, {POD_LABEL: label}, ports, clusterIP=HEADLESS)]
    if not ports:
        return made
    return made + [
        _service(replica_name(ordinal), {POD_LABEL: label, ORDINAL_LABEL: replica_name(ordinal)}, ports)
        for ordinal in range(manifest.spec.scale.max)
    ]


def _ports(manifest: PodManifest) -> list[dict[str, Any]]:
    """What the containers listen on, or what the services lead to where no container lists it."""
    listed = {
        (port.container_port, port.protocol)
        for part in manifest.spec.running_containers
        for port in part.ports
    }
    led = {(port.target, port.protocol) for service in manifest.spec.services for port in service.ports}
    return [
        {"name": f"{protocol.lower()}-{number}", "port": number, "targetPort": number, "protocol": protocol}
        for number, protocol in sorted(listed or led)
    ]


def _service(name: str, selector: KubeObject, ports: Sequence[KubeObject], **more: str) -> KubeObject:
    spec = {"type": "ClusterIP", "selector": selector, "publishNotReadyAddresses": True, **more}
    if ports:
        spec["ports"] = list(ports)
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
