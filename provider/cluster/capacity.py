# SPDX-License-Identifier: Apache-2.0
"""How much room a cluster has, and what its nodes are. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from trustedpods.protocol.units import Resources
from trustedpods.provider.cluster import views
from trustedpods.provider.cluster.objects import sizes
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.workload import awake_cpu
from trustedpods.provider.core.placement.nodes import NodePlace, Taint
from trustedpods.provider.core.placement.offered import ClusterFeatures


@dataclass(frozen=True, slots=True)
class ClusterCapacity:
    """What the ready nodes offer to pods, and what pods and volume claims have asked for of it.

    `nodes` has what each of those nodes has left for a replica, by the node's name; volumes are not in it.
    `places` has how each of them is chosen. `lent_milli` is CPU that frozen replicas
    ask for again when they wake.
    """

    allocatable: Resources
    requested: Resources
    nodes: Mapping[str, Resources]
    places: Mapping[str, NodePlace] = field(default_factory=dict)
    lent_milli: int = 0

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
    volumes = sum(views.volume_claim_view(claim).stored.reserved for claim in volume_claims)
    offers = {node["metadata"]["name"]: _offer(node) for node in usable}
    return ClusterCapacity(
        allocatable=sizes.total(offers.values()),
        requested=Resources(asked.cpu_milli, asked.memory_mib, asked.storage_mib + volumes),
        nodes={name: _left(offer, _asked_on(name, running)) for name, offer in offers.items()},
        places={node["metadata"]["name"]: _place(node, frozenset()) for node in usable},
        lent_milli=sum(map(awake_cpu.lent_milli, running)),
    )


def features(
    nodes: Iterable[KubeObject],
    storage_classes: Iterable[KubeObject],
    csi_nodes: Iterable[KubeObject],
    ingress_classes: Iterable[KubeObject] = (),
) -> ClusterFeatures:
    """What the cluster has, from its Node, StorageClass, CSINode and IngressClass objects."""
    drivers = {one["metadata"]["name"]: _drivers(one) for one in csi_nodes}
    classes = list(storage_classes)
    return ClusterFeatures(
        nodes={
            node["metadata"]["name"]: _place(node, drivers.get(node["metadata"]["name"], frozenset()))
            for node in nodes
        },
        storage_classes={one["metadata"]["name"]: bool(one.get("allowVolumeExpansion")) for one in classes},
        ingress_classes=frozenset(str(one["metadata"]["name"]) for one in ingress_classes),
        default_class=next((str(one["metadata"]["name"]) for one in classes if _is_default(one)), ""),
    )


def _is_default(storage_class: KubeObject) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return annotations.get("storageclass.kubernetes.io/is-default-class") == "true"


def _drivers(csi_node: KubeObject) -> frozenset[str]:
    return frozenset(str(one["name"]) for one in csi_node["spec"].get("drivers") or [])


def _place(node: KubeObject, drivers: frozenset[str]) -> NodePlace:
    taints = node["spec"].get("taints") or []
    return NodePlace(
        labels=dict(node["metadata"].get("labels") or {}),
        taints=tuple(Taint(one["key"], one.get("value", ""), one["effect"]) for one in taints),
        size=_offer(node),
        csi_drivers=drivers,
        user_namespaces=_has_user_namespaces(node),
    )


def _has_user_namespaces(node: KubeObject) -> bool:
    """What the kubelet says of the runtime's handler that pods have who name none."""
    handlers = node.get("status", {}).get("runtimeHandlers") or []
    usual = (one.get("features") or {} for one in handlers if not one.get("name"))
    return any(bool(one.get("userNamespaces")) for one in usual)


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
