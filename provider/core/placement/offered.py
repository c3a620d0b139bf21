# SPDX-License-Identifier: Apache-2.0
"""What of a cluster is offered: what its nodes and classes are, of that what the operator allows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trustedpods.protocol.messages.capabilities import (
    AccessMode,
    Capabilities,
    IngressClass,
    NodeSize,
    StorageClass,
)
from trustedpods.protocol.units import Resources
from trustedpods.provider.core.placement.nodes import NodePlace, advertised_labels


@dataclass(frozen=True, slots=True)
class ClusterFeatures:
    """All nodes by their names, ready or not, whether volumes of each class can grow, and ingress classes.

    `default_class` has the volumes of those who name no class; empty: there is none.
    """

    nodes: Mapping[str, NodePlace]
    storage_classes: Mapping[str, bool]
    ingress_classes: frozenset[str] = frozenset()
    default_class: str = ""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets manifests ask for, by name, and what the rest of the provider can do.

    Storage classes have the access modes that the operator says they can: Kubernetes does not say it. Ingress
    classes have the names of the annotations that manifests may use.
    """

    storage_classes: Mapping[str, Sequence[AccessMode]] = field(default_factory=dict)
    node_labels: tuple[str, ...] = ()
    csi_drivers: tuple[str, ...] = ()
    ingress_classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    udp: bool = False
    node_port: bool = False
    load_balancer: bool = False
    names: bool = False
    smtp: bool = False
    own_sleep: bool = False
    user_namespaces: bool = False


def capabilities(found: ClusterFeatures, allowed: Allowed) -> Capabilities:
    """What the profile says: of what is *allowed*, all that the cluster has."""
    nodes = list(found.nodes.values())
    everywhere = frozenset.intersection(*(node.csi_drivers for node in nodes)) if nodes else frozenset()
    return Capabilities(
        storage_classes=[
            StorageClass(name=name, grows=found.storage_classes[name], access_modes=list(modes))
            for name, modes in allowed.storage_classes.items()
            if name in found.storage_classes
        ],
        default_class=bool(found.default_class),
        ingress_classes=[
            IngressClass(name=name, annotations=list(annotations))
            for name, annotations in allowed.ingress_classes.items()
            if name in found.ingress_classes
        ],
        csi_drivers=[name for name in allowed.csi_drivers if name in everywhere],
        udp=allowed.udp,
        node_port=allowed.node_port,
        load_balancer=allowed.load_balancer,
        names=allowed.names,
        smtp=allowed.smtp,
        own_sleep=allowed.own_sleep,
        user_namespaces=allowed.user_namespaces,
        node_labels=advertised_labels(nodes, allowed.node_labels),
        largest_node=_largest(node.size for node in nodes),
    )


def _largest(sizes: Iterable[Resources]) -> NodeSize:
    """The most of each that any node has: what is larger than this fits nowhere."""
    listed = list(sizes)
    return NodeSize(
        cpu_milli=max((size.cpu_milli for size in listed), default=0),
        memory_mib=max((size.memory_mib for size in listed), default=0),
        storage_mib=max((size.storage_mib for size in listed), default=0),
    )
