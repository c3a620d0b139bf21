# SPDX-License-Identifier: Apache-2.0
"""Why each capability is advertised or not: the settings, what the cluster has now, and the profile. Pure.

The profile is made when the daemon begins; what changed in the cluster since is told, and comes into it by
the next start.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from trustedpods.protocol.messages.capabilities import Capabilities, NodeSize
from trustedpods.provider.core.placement.offered import Allowed, ClusterFeatures, capabilities


class OfferState(StrEnum):
    """How what is advertised stands to what would be advertised now."""

    ADVERTISED = "advertised"
    CLOSED = "closed"
    """The settings do not allow it."""
    MISSING = "missing"
    """The settings allow it, and the cluster has it not, or not on every node."""
    APPEARED = "appeared"
    """It could be advertised, and was not there when the daemon began."""
    GONE = "gone"
    """It is advertised and could not be any more: pods that ask for it are refused or wait."""


@dataclass(frozen=True, slots=True)
class ExplainedOffer:
    """One capability: what kind, its name or value, how it stands, and why."""

    kind: str
    name: str
    state: OfferState
    why: str


@dataclass(frozen=True, slots=True)
class _Named:
    """Capabilities of one kind that have names, each with what is said of it."""

    kind: str
    key: str
    allowed: Collection[str]
    there: Collection[str]
    before: Mapping[str, str]
    now: Mapping[str, str]
    lacks: str = "the cluster has no class of this name"


def explained(advertised: Capabilities, found: ClusterFeatures, allowed: Allowed) -> list[ExplainedOffer]:
    """Each capability that is advertised, allowed, or there; by kind, and by name in each."""
    now = capabilities(found, allowed)
    named = [row for one in _kinds(advertised, now, found, allowed) for row in _rows(one)]
    return [*named, *_switches(advertised, now), _largest(advertised, now)]


def _kinds(
    before: Capabilities, now: Capabilities, found: ClusterFeatures, allowed: Allowed
) -> Iterator[_Named]:
    drivers = frozenset[str]().union(*(node.csi_drivers for node in found.nodes.values()))
    yield _Named(
        "storage class",
        "cluster.storage_classes",
        allowed.storage_classes,
        found.storage_classes,
        _storage(before),
        _storage(now),
    )
    yield _Named(
        "ingress class",
        "ingress.classes",
        allowed.ingress_classes,
        found.ingress_classes,
        _ingress(before),
        _ingress(now),
    )
    yield _Named(
        "CSI driver",
        "cluster.csi_drivers",
        allowed.csi_drivers,
        drivers,
        dict.fromkeys(before.csi_drivers, "on every node"),
        dict.fromkeys(now.csi_drivers, "on every node"),
        "not every node has it, and no scheduler looks where a driver runs",
    )
    yield _Named(
        "node label",
        "cluster.node_labels",
        allowed.node_labels,
        (),
        {key: _values(values) for key, values in before.node_labels.items()},
        {key: _values(values) for key, values in now.node_labels.items()},
        "no node has this label",
    )


def _rows(one: _Named) -> Iterator[ExplainedOffer]:
    for name in sorted({*one.allowed, *one.there, *one.before}):
        yield _row(one, name)


def _row(one: _Named, name: str) -> ExplainedOffer:
    before, now = one.before.get(name), one.now.get(name)
    if name in one.allowed:
        reason = f"{one.key} allows it" + (f": {now}" if now is not None else f", and {one.lacks}")
    else:
        reason = (
            f"the cluster has it, and {one.key} does not name it" if name in one.there else "nothing has it"
        )
    state = _state(before is not None, now is not None, open_=name in one.allowed)
    if before is not None and now is not None and before != now:
        reason += f"; the profile says {before} until the next start"
    return ExplainedOffer(one.kind, name, state, reason)


def _state(before: bool, now: bool, *, open_: bool) -> OfferState:
    if before:
        return OfferState.ADVERTISED if now else OfferState.GONE
    if now:
        return OfferState.APPEARED
    return OfferState.MISSING if open_ else OfferState.CLOSED


_SWITCHES = {
    "default_class": "the cluster's default StorageClass",
    "udp": "exposure.udp",
    "node_port": "exposure.node_ports",
    "load_balancer": "exposure.load_balancers",
    "names": "the table [names]",
    "smtp": "egress.smtp",
    "own_sleep": "names.sleep_port",
    "user_namespaces": "cluster.user_namespaces",
}
"""What is on or off, and what of the settings says so."""


def _switches(before: Capabilities, now: Capabilities) -> Iterator[ExplainedOffer]:
    for name, key in _SWITCHES.items():
        on = bool(getattr(now, name))
        state = _state(bool(getattr(before, name)), on, open_=on)
        yield ExplainedOffer("switch", name, state, f"{key} has it {'on' if on else 'off'}")


def _largest(before: Capabilities, now: Capabilities) -> ExplainedOffer:
    said, is_now = before.largest_node, now.largest_node
    name = _size(is_now)
    if said == is_now:
        return ExplainedOffer("largest node", name, OfferState.ADVERTISED, "the most of each that a node has")
    grew = any(
        getattr(is_now, one) > getattr(said, one) for one in ("cpu_milli", "memory_mib", "storage_mib")
    )
    told = f"the profile says {_size(said)} until the next start"
    return ExplainedOffer("largest node", name, OfferState.APPEARED if grew else OfferState.GONE, told)


def _size(node: NodeSize) -> str:
    return f"{node.cpu_milli}m CPU, {node.memory_mib} MiB of memory, {node.storage_mib} MiB of disk"


def _storage(of: Capabilities) -> dict[str, str]:
    return {
        one.name: f"{', '.join(one.access_modes)}{'; volumes can grow' if one.grows else ''}"
        for one in of.storage_classes
    }


def _ingress(of: Capabilities) -> dict[str, str]:
    return {one.name: ", ".join(one.annotations) or "no annotations" for one in of.ingress_classes}


def _values(values: list[str]) -> str:
    return ", ".join(values) or "too many values to list"
