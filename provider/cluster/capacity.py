# SPDX-License-Identifier: Apache-2.0
"""How much room a cluster has. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster import views
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.names import KubeObject


@dataclass(frozen=True, slots=True)
class ClusterCapacity:
    """What the ready nodes offer to pods, and what pods and volume claims have asked for of it."""

    allocatable: Resources
    requested: Resources

    @property
    def free(self) -> Resources:
        """What is left; never below zero."""
        return Resources(
            max(0, self.allocatable.cpu_milli - self.requested.cpu_milli),
            max(0, self.allocatable.memory_mib - self.requested.memory_mib),
            max(0, self.allocatable.storage_mib - self.requested.storage_mib),
        )


def capacity(
    nodes: Iterable[KubeObject], pods: Iterable[KubeObject], volume_claims: Iterable[KubeObject]
) -> ClusterCapacity:
    """Sum over the nodes that take pods, against the pods on them or on none yet, and all volume claims."""
    usable = [node for node in nodes if _takes_pods(node)]
    places = {node["metadata"]["name"] for node in usable} | {""}
    running = [
        pod for pod in pods if not views.is_over(pod) and (pod["spec"].get("nodeName") or "") in places
    ]
    asked = sizes.total(sizes.requested_by(pod["spec"]) for pod in running)
    volumes = sum(views.volume_claim_view(claim).mib for claim in volume_claims)
    return ClusterCapacity(
        allocatable=sizes.total(
            sizes.resources(node.get("status", {}).get("allocatable", {})) for node in usable
        ),
        requested=Resources(asked.cpu_milli, asked.memory_mib, asked.storage_mib + volumes),
    )


def _takes_pods(node: KubeObject) -> bool:
    ready = views.condition(node, "Ready").get("status") == "True"
    return ready and not node["spec"].get("unschedulable", False)
