# SPDX-License-Identifier: Apache-2.0
"""What a pod asks for and a provider does not have: said by a client before it pays, and by the provider.

A profile lists values of labels one by one, so what it allows may still be on no single node: the provider
looks at its nodes when the pod asks to come.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trustedpods.protocol.limits import SMTP_PORTS
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.capabilities import Capabilities, LabelRule, Placement

EVERY_NODE: Final = {"kubernetes.io/arch": "amd64", "kubernetes.io/os": "linux"}
"""Labels that every node of every provider has, with the one value that they have here."""

HOSTNAME: Final = "kubernetes.io/hostname"
"""By which replicas keep apart or spread everywhere: it need not be advertised, and says nothing of nodes."""


def gaps(ask: AdmitBody, has: Capabilities) -> list[str]:
    """One sentence for each thing that *ask* needs and *has* lacks; none for a pod that may come."""
    return [*_volumes(ask, has), *_exposure(ask, has), *_labels(ask.placement, has), *_size(ask, has)]


def asks_for_more(ask: AdmitBody) -> bool:
    """Whether *ask* needs anything that not every provider has, so that a profile must be read to choose."""
    placed = ask.placement != Placement()
    at_nodes = any(protocol in ("udp", "nodePort", "loadBalancer") for protocol in ask.services.values())
    switched = ask.names or ask.smtp or ask.own_sleep or ask.user_namespaces
    return bool(ask.volumes or ask.csi_drivers or ask.ingresses or at_nodes or switched or placed)


def label_gaps(placement: Placement, labels: Mapping[str, Sequence[str]]) -> list[str]:
    """The same for the labels alone; *labels* are those that are advertised, with their values."""
    advertised = f"advertised: {label_text(labels)}"
    named = [*placement.apart, *placement.spread, *(one.key for one in placement.tolerated)]
    known = {HOSTNAME, *EVERY_NODE, *labels}
    found = [
        f"label {key} is not advertised; {advertised}" for key in dict.fromkeys(named) if key not in known
    ]
    for key, value in placement.selector.items():
        if not _may_hold(LabelRule(key=key, operator="In", values=[value]), labels):
            found.append(f"no node with {key}={value}; {advertised}")
    if placement.terms and not any(all(_may_hold(rule, labels) for rule in term) for term in placement.terms):
        found.append(f"no node as affinity.nodeAffinity wants it; {advertised}")
    return found


def label_text(labels: Mapping[str, Sequence[str]]) -> str:
    """Advertised labels for people."""
    return ", ".join(f"{key}={'|'.join(values) or '*'}" for key, values in sorted(labels.items())) or "none"


def holds(rule: LabelRule, labels: Mapping[str, str]) -> bool:
    """Whether a node with these *labels* is as *rule* wants it, as Kubernetes' scheduler decides it."""
    value = labels.get(rule.key)
    match rule.operator:
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "In":
            return value in rule.values
        case "NotIn":
            return value is None or value not in rule.values
        case "Gt" | "Lt":
            return _compares(rule, value)


def _compares(rule: LabelRule, value: str | None) -> bool:
    if value is None or len(rule.values) != 1:
        return False
    (bound,) = rule.values
    if not all(text.isascii() and text.isdecimal() for text in (value, bound)):
        return False
    return int(value) > int(bound) if rule.operator == "Gt" else int(value) < int(bound)


def _may_hold(rule: LabelRule, labels: Mapping[str, Sequence[str]]) -> bool:
    """Whether some node may be so: its label is advertised, or one that every node has."""
    if rule.key in EVERY_NODE:
        return holds(rule, EVERY_NODE)
    if rule.key not in labels:
        return False
    values = labels[rule.key]
    if not values or rule.operator == "DoesNotExist":
        return True
    return any(holds(rule, {rule.key: value}) for value in values) or rule.operator == "NotIn"


def _volumes(ask: AdmitBody, has: Capabilities) -> Iterator[str]:
    classes = {one.name: one.access_modes for one in has.storage_classes}
    for name, mode in dict.fromkeys((one.storage_class, one.access_mode) for one in ask.volumes):
        if name is None:
            if not has.default_class:
                yield f"no default storage class; by name there is {', '.join(classes) or 'none'}"
            continue
        if name not in classes:
            yield f"no storage class {name}; there is {', '.join(classes) or 'none by name'}"
        elif mode not in classes[name]:
            yield f"storage class {name} has no {mode}; it has {', '.join(classes[name])}"
    for name in ask.csi_drivers:
        if name not in has.csi_drivers:
            yield f"no CSI driver {name}; there is {', '.join(has.csi_drivers) or 'none'}"


def _exposure(ask: AdmitBody, has: Capabilities) -> Iterator[str]:
    offered = {"udp": has.udp, "nodePort": has.node_port, "loadBalancer": has.load_balancer}
    for protocol in dict.fromkeys(ask.services.values()):
        if not offered.get(protocol, True):
            yield f"no service can have expose: {protocol}"
    offered_classes = {one.name: one.annotations for one in has.ingress_classes}
    for one in ask.ingresses:
        if one.class_name not in offered_classes:
            yield f"no ingress class {one.class_name}; there is {', '.join(offered_classes) or 'none'}"
            continue
        for name in one.annotations:
            if name not in offered_classes[one.class_name]:
                yield f"ingress class {one.class_name} takes no annotation {name}"
    yield from _switches(ask, has)


def _switches(ask: AdmitBody, has: Capabilities) -> Iterator[str]:
    if ask.names and not has.names:
        yield "no host can be called by name: it has no resolver for pods"
    if ask.smtp and not has.smtp:
        yield f"no pod can send mail: TCP ports {', '.join(map(str, SMTP_PORTS))} are closed to the outside"
    if ask.own_sleep and not has.own_sleep:
        yield "no pod can ask for its own sleep"
    if ask.user_namespaces and not has.user_namespaces:
        yield "no pod has user ids of its own (hostUsers: false)"


def _labels(placement: Placement, has: Capabilities) -> list[str]:
    return label_gaps(placement, has.node_labels)


def _size(ask: AdmitBody, has: Capabilities) -> Iterator[str]:
    node = has.largest_node
    for name, wanted, most, unit in (
        ("cpu", ask.cpu_milli, node.cpu_milli, "m"),
        ("memory", ask.memory_mib, node.memory_mib, " MiB"),
        ("disk", ask.scratch_mib, node.storage_mib, " MiB"),
    ):
        if wanted > most:
            yield f"{name}: {wanted}{unit} wanted by one replica, the largest node has {most}{unit}"
