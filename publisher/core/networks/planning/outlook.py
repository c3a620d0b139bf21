# SPDX-License-Identifier: Apache-2.0
"""What a plan does to each node and what the network then costs an hour, as people are told it. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.networks.content import AddressEntry
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.networks.plan import NodeStep, Plan, WantedNode

Effect = Literal["create", "in place", "restart", "keep", "reload", "recreate", "delete", "unchanged"]
"""`in place`: the newer version proves itself beside the one before. `restart`: that one is stopped first, as
two may not write one volume. `keep`: nothing that runs changes. `recreate`: removed where it is, and deployed
in another cluster. A node that is as the file says may `reload` or `restart` all the same, as addresses
change that its files have."""


IdentityState = Literal["none", "to be made", "made"]
"""Whether the key that a node is known by is there: it is made with the node's first start."""

HELD = "it waits for a node of which its owner tells no more"
"""Why a node is left as it is, though the file has it otherwise."""

NO_IDENTITIES: Mapping[str, IdentityState] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class NodeOutlook:
    """One node: what an apply does to it, where it then is (or was), and why.

    `an_hour` is its cost at full size by the registry's prices, in base units of the token; None where it
    is gone afterwards or its cluster's provider is in no row. `stopped`: its publisher has it stopped, and an
    apply leaves it so.
    """

    node: str
    effect: Effect
    cluster: str
    why: str
    an_hour: TokenUnits | None
    identity: IdentityState = "none"
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class TunnelOutlook:
    """A tunnel that *node* is to have to *other*; *lacks* is why nothing comes by it, empty where it does."""

    node: str
    other: str
    lacks: str = ""


def tunnels(manifests: Mapping[str, PodManifest]) -> tuple[TunnelOutlook, ...]:
    """Every tunnel of the nodes of a file, and whether the other end has one that leads back."""
    found = []
    for node, manifest in manifests.items():
        own = manifest.spec.network.tunnel
        for other in () if own is None else manifest.spec.network.nodes:
            far = None if other not in manifests else manifests[other].spec.network
            lacks = ""
            if far is None:
                lacks = f"{other} is no node of this file"
            elif far.tunnel is None:
                lacks = f"{other} has none"
            elif own is not None and far.tunnel.service != own.service:
                lacks = f"that of {other} is at the service {far.tunnel.service}, not {own.service}"
            elif node not in far.nodes:
                lacks = f"{other} does not name {node}"
            found.append(TunnelOutlook(node, other, lacks))
    return tuple(found)


def outlook(
    plan: Plan,
    nodes: Sequence[WantedNode],
    costs: Mapping[str, TokenUnits],
    identities: Mapping[str, IdentityState] = NO_IDENTITIES,
    held: Collection[str] = (),
) -> tuple[NodeOutlook, ...]:
    """Every node: those that go, then all of the file in its order. *costs* are an hour's, by node.

    *identities* are as `identity_states` has them; a node that is recreated makes its own anew. Those
    that are *held* back are left as they are, though the file has them otherwise.
    """
    wanted = {node.name for node in nodes}
    gone = {step.node: step for step in plan.nodes if step.doing == "remove"}
    doing = {step.node: step for step in plan.nodes if step.doing != "remove"}
    going = [
        NodeOutlook(step.node, "delete", step.cluster, step.why, None)
        for step in gone.values()
        if step.node not in wanted
    ]
    staying = (_known_by(one, identities) for one in _staying(nodes, gone, doing, costs))
    return (*going, *(replace(one, why=HELD) if one.node in held else one for one in staying))


def with_stopped(nodes: Sequence[NodeOutlook], stopped: Collection[str]) -> tuple[NodeOutlook, ...]:
    """The same with those marked that are *stopped* and stay so: one that is recreated starts."""
    leaves = ("create", "recreate", "delete")
    return tuple(replace(one, stopped=one.node in stopped and one.effect not in leaves) for one in nodes)


def with_kept(nodes: Sequence[NodeOutlook], plan: Plan, kept: Collection[str]) -> tuple[NodeOutlook, ...]:
    """The same, where of those that *plan* updates the replicas of *kept* ones go on as they are."""
    updated = {step.node for step in plan.nodes if step.doing == "update"}.intersection(kept)
    told = "its terms changed, and nothing that runs"
    return tuple(replace(one, effect="keep", why=told) if one.node in updated else one for one in nodes)


def with_beginnings(nodes: Sequence[NodeOutlook], begins: Mapping[str, str]) -> tuple[NodeOutlook, ...]:
    """The same, where nodes that were lost say what they begin with, and why they are made anew."""
    return tuple(replace(one, why=begins.get(one.node, one.why)) for one in nodes)


def _known_by(one: NodeOutlook, identities: Mapping[str, IdentityState]) -> NodeOutlook:
    state = identities.get(one.node, "none")
    return replace(one, identity="to be made" if state == "made" and one.effect == "recreate" else state)


def identity_states(
    manifests: Mapping[str, PodManifest], addresses: Sequence[AddressEntry]
) -> dict[str, IdentityState]:
    """How it stands with what each node is known by, as the network's address book has it."""
    made = {one.component for one in addresses if one.identity}
    return {
        name: "none" if one.identity is None else "made" if name in made else "to be made"
        for name, one in manifests.items()
    }


def _staying(
    nodes: Sequence[WantedNode],
    gone: Mapping[str, NodeStep],
    doing: Mapping[str, NodeStep],
    costs: Mapping[str, TokenUnits],
) -> Iterator[NodeOutlook]:
    coming = {name for name, step in doing.items() if step.doing == "deploy"}
    for node in nodes:
        step, cost = doing.get(node.name), costs.get(node.name)
        if step is None and (moved := [name for name in node.follows if name in coming]):
            effect: Effect = "restart" if any(node.follows[name] == "restart" for name in moved) else "reload"
            yield NodeOutlook(
                node.name, effect, node.cluster, f"its files have the address of {', '.join(moved)}", cost
            )
        elif step is None:
            yield NodeOutlook(node.name, "unchanged", node.cluster, "it is as the file says", cost)
        elif node.name in gone:
            yield NodeOutlook(node.name, "recreate", node.cluster, gone[node.name].why, cost)
        else:
            yield NodeOutlook(node.name, _effect(step, node), node.cluster, step.why, cost)


def _effect(step: NodeStep, node: WantedNode) -> Effect:
    if step.doing != "update":
        return "create"
    return "restart" if node.stops else "in place"
