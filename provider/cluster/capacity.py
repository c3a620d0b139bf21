# SPDX-License-Identifier: Apache-2.0
"""How much room a cluster has. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster import views
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.names import KubeObject


@dataclass(frozen=True, slots=True)
class ClusterCapacity:
    """What the ready nodes offer to pods, and what pods and volume claims have asked for of it.

    `nodes` has what each of those nodes has left for a replica, by the node's name; volumes are not in it.
    """

    allocatable: Resources
    requested: Resources
    nodes: Mapping[str, Resources]

    @property
    def free(self) -> Resources:
        """What is left of all together; never below zero."""
        return _left(self.allocatable, self.requested)


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
    offers = {node["metadata"]["name"]: _offer(node) for node in usable}
    return ClusterCapacity(
        allocatable=sizes.total(offers.values()),
        requested=Resources(asked.cpu_milli, asked.memory_mib, asked.storage_mib + volumes),
        nodes={name: _left(offer, _asked_on(name, running)) for name, offer in offers.items()},
    )


def _offer(node: KubeObject) -> Resources:
    return sizes.resources(node.get("status", {}).get("allocatable", {}))


def _asked_on(node: str, running: Iterable[KubeObject]) -> Resources:
    here = (pod["spec"] for pod in running if pod["spec"].get("nodeName") == node)
    return sizes.total(map(sizes.requested_by, here))


def _left(offer: Resources, asked: Resources) -> Resources:
    return Resources(
        max(0, offer.cpu_milli - asked.cpu_milli),
        max(0, offer.memory_mib - asked.memory_mib),
        max(0, offer.storage_mib - asked.storage_mib),
    )


def _takes_pods(node: KubeObject) -> bool:
    ready = views.condition(node, "Ready").get("status") == "True"
    return ready and not node["spec"].get("unschedulable", False)
