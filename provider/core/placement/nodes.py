# SPDX-License-Identifier: Apache-2.0
"""Which nodes a pod's replicas may run on, as Kubernetes' scheduler decides it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from trustedpods.protocol.capability_gaps import EVERY_NODE, HOSTNAME, holds, label_gaps
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.capabilities import MAX_LABEL_VALUES, Placement, Tolerated
from trustedpods.protocol.units import Resources

_KEEPS_AWAY = {"NoSchedule", "NoExecute"}


@dataclass(frozen=True, slots=True)
class Taint:
    """What keeps pods away from a node that do not tolerate it."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node as pods choose it; `size` is all that it gives to pods, `csi_drivers` what can mount on it.

    `user_namespaces`: its kubelet says that its runtime can give pods user ids of their own.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    size: Resources = field(default_factory=lambda: Resources(0, 0, 0))
    csi_drivers: frozenset[str] = frozenset()
    user_namespaces: bool = False


def advertised_labels(nodes: Iterable[NodePlace], keys: Collection[str]) -> dict[str, list[str]]:
    """The values that labels of *keys* have on *nodes*; no values where there are too many to list."""
    listed = list(nodes)
    found = {key: sorted({node.labels[key] for node in listed if key in node.labels}) for key in sorted(keys)}
    return {key: values if len(values) <= MAX_LABEL_VALUES else [] for key, values in found.items() if values}


def takes(node: NodePlace, placement: Placement) -> bool:
    """Whether a replica may be put on *node*: its labels are as wanted, and no taint keeps it away."""
    if any(node.labels.get(key) != value for key, value in placement.selector.items()):
        return False
    if placement.terms and not any(
        all(holds(rule, node.labels) for rule in term) for term in placement.terms
    ):
        return False
    return all(
        taint.effect not in _KEEPS_AWAY or any(_tolerates(one, taint) for one in placement.tolerated)
        for taint in node.taints
    )


def check_placement(
    placement: Placement, replicas: int, nodes: Mapping[str, NodePlace], keys: Collection[str]
) -> frozenset[str]:
    """Names of the *nodes* that take the pod.

    Refused (rule `placement`) where it asks for labels that are not among the advertised *keys*, where no
    node is as wanted, or where *replicas* that keep apart have too few places.
    """
    labels = advertised_labels(nodes.values(), keys)
    if found := label_gaps(placement, labels):
        raise Refused("; ".join(found), rule="placement", hint="`trustedpods provider inspect` shows labels")
    _check_keys(placement, {*EVERY_NODE, *labels})
    fitting = {name: node for name, node in nodes.items() if takes(node, placement)}
    if not fitting and nodes:
        raise Refused(
            f"none of {len(nodes)} nodes is as the pod wants it: labels or taints keep it away from each",
            rule="placement",
            hint="`trustedpods provider inspect` shows labels",
        )
    for key in placement.apart:
        places = {_domain(key, name, node) for name, node in fitting.items()} - {None}
        if replicas > len(places):
            raise Refused(
                f"{replicas} replicas wanted, no two with one {key}: {len(places)} there on nodes that fit",
                rule="placement",
            )
    return frozenset(fitting)


def _check_keys(placement: Placement, known: Collection[str]) -> None:
    """Refused where any term names another label than those *known*: the scheduler takes the nodes of each.

    A profile is enough where one alternative can hold; at this provider the others would show, and choose
    by, labels that its operator keeps to himself.
    """
    for key in (rule.key for term in placement.terms for rule in term):
        if key not in known:
            raise Refused(
                f"label {key} is not advertised, so nodeAffinity cannot name it",
                rule="placement",
                hint="`trustedpods provider inspect` shows labels",
            )


def check_drivers(drivers: Iterable[str], nodes: Mapping[str, NodePlace], fitting: Collection[str]) -> None:
    """Refused (rule `csi-driver`) unless each driver runs on all *fitting* nodes: no scheduler looks."""
    for driver in drivers:
        lacking = sorted(name for name in fitting if name in nodes and driver not in nodes[name].csi_drivers)
        if lacking:
            raise Refused(
                f"CSI driver {driver} does not run on {len(lacking)} of {len(fitting)} nodes that fit",
                rule="csi-driver",
            )


def _domain(key: str, name: str, node: NodePlace) -> str | None:
    return node.labels.get(key, name if key == HOSTNAME else None)


def _tolerates(tolerated: Tolerated, taint: Taint) -> bool:
    if tolerated.key != taint.key or tolerated.effect not in (None, taint.effect):
        return False
    return tolerated.operator == "Exists" or tolerated.value == taint.value
