# SPDX-License-Identifier: Apache-2.0
"""What an apply changes: the nodes that are wanted beside those of the state, and the team likewise. Pure.

A node's phase says how far somebody came. `requested` may be anything from nothing to a pod that serves,
so it is deployed again; `stopped` may be gone already, so it is removed again, or deployed. A node whose
publisher is no member any more is dropped, and deployed anew by whoever applies.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.ids import Address, address_bytes, address_from_bytes
from trustedpods.protocol.networks.content import Component, NetworkContent
from trustedpods.protocol.networks.members import (
    NO_BYTES32,
    MemberCard,
    MemberChange,
    NetworkName,
    Role,
    Roster,
    changed,
    sign_change,
)

NODE_MARK = 8
"""Hex digits that tell nodes of one name in two networks apart: 32 bits, among one publisher's pods."""

_MARK_TAG = b"trusted-pods/network-node/v1\0"

Doing = Literal["deploy", "update", "go on", "remove"]


@dataclass(frozen=True, slots=True)
class WantedNode:
    """A node as the file has it; `digest` is SHA-256 of all that its pod is made of.

    `after` are nodes that serve before this one is begun. `stops` if an update stops the version before it.
    `follows` are the nodes whose addresses stand in its files, and what it does when one of them moves.
    """

    name: str
    cluster: str
    digest: bytes
    after: tuple[str, ...] = ()
    stops: bool = False
    follows: Mapping[str, Literal["reload", "restart"]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WantedMember:
    """A member as the file has it; without a card where the network knows the member already."""

    address: Address
    role: Role
    card: MemberCard | None = None


@dataclass(frozen=True, slots=True)
class NodeStep:
    """One node that changes, in its cluster, and why."""

    doing: Doing
    node: str
    cluster: str
    why: str


@dataclass(frozen=True, slots=True)
class MemberStep:
    """One member who changes; `role` is None for one who is taken out."""

    address: Address
    role: Role | None
    before: Role | None


@dataclass(frozen=True, slots=True)
class Plan:
    """All that an apply would do, in order: members, removals, then nodes as the file has them."""

    members: tuple[MemberStep, ...]
    nodes: tuple[NodeStep, ...]

    @property
    def changes(self) -> int:
        """How many; 0 when the network is as the file says."""
        return len(self.members) + len(self.nodes)


def pod_name(network: NetworkName, node: str) -> str:
    """The name of a node's pod, of whoever deploys it: the same everywhere, and no other network's."""
    text = f"{network.founder.lower()}/{network.name}/{node}".encode()
    return f"{node}-{hashlib.sha256(_MARK_TAG + text).hexdigest()[:NODE_MARK]}"


def plan_of(
    content: NetworkContent,
    roster: Roster,
    nodes: Sequence[WantedNode],
    members: Sequence[WantedMember] | None,
    who: Address,
    *,
    looking: bool = False,
) -> Plan:
    """What *who* would change; of one who is only *looking* no right is asked.

    Refused (rule `role`) where it takes another role than *who* has, (rule `publisher`) where a node is
    another member's; BadInput for a cluster that the network does not have, or a card that is missing.
    """
    known = {cluster.name for cluster in content.clusters if cluster.lost is None}
    for node in nodes:
        if node.cluster not in known:
            raise BadInput(
                f"the network has no cluster {node.cluster!r}; it has: {', '.join(sorted(known))}",
                where=f"node {node.name}",
            )
    plan = Plan(_member_steps(roster, members), _node_steps(content, nodes, roster))
    if not looking:
        _check_right(plan, content, roster, who)
    _check_cards(plan, members or (), roster)
    return plan


def only(plan: Plan, nodes: Collection[str]) -> Plan:
    """Of *plan* what is done to *nodes*."""
    return Plan((), tuple(step for step in plan.nodes if step.node in nodes))


def _member_steps(roster: Roster, members: Sequence[WantedMember] | None) -> tuple[MemberStep, ...]:
    if members is None:
        return ()
    steps = [
        MemberStep(one.address, one.role, roster.role(one.address))
        for one in members
        if one.role is not roster.role(one.address)
    ]
    staying = {one.address for one in members}
    gone = [MemberStep(who, None, one.role) for who, one in roster.members.items() if who not in staying]
    return (*sorted(steps, key=lambda step: step.role is not Role.OWNER), *gone)  # an owner is always there


def _node_steps(content: NetworkContent, nodes: Sequence[WantedNode], roster: Roster) -> tuple[NodeStep, ...]:
    there = {component.name: component for component in content.components}
    wanted = {node.name: node for node in nodes}
    steps = []
    for name, component in there.items():
        if name not in wanted:
            steps.append(NodeStep("remove", name, component.cluster, "the file does not have it"))
        elif wanted[name].cluster != component.cluster:
            steps.append(NodeStep("remove", name, component.cluster, f"it moves to {wanted[name].cluster}"))
        elif _left(component, roster) and _change(component, wanted[name]) is not None:
            steps.append(NodeStep("remove", name, component.cluster, "its publisher left the team"))
    moving = {step.node for step in steps}
    for node in nodes:
        found = there.get(node.name)
        if found is None or node.name in moving:
            steps.append(NodeStep("deploy", node.name, node.cluster, "it is new there"))
        elif (change := _change(found, node)) is not None:
            steps.append(NodeStep(change[0], node.name, node.cluster, change[1]))
    return tuple(steps)


def _change(found: Component, node: WantedNode) -> tuple[Doing, str] | None:
    """What is to be done to a node that stays in its cluster, and why; None for nothing."""
    if found.phase in ("requested", "stopped"):
        return "go on", "an apply or a delete did not come to its end"
    if found.manifest_digest != node.digest:
        return "update", "its manifest, images or secrets changed"
    return None


def _left(component: Component, roster: Roster) -> bool:
    """Whether its publisher is no member any more: nobody who is one commands its pod."""
    return address_from_bytes(component.publisher) not in roster.members


def _check_right(plan: Plan, content: NetworkContent, roster: Roster, who: Address) -> None:
    role = roster.role(who)
    if plan.members and role is not Role.OWNER:
        raise Refused(f"{who} is {_a(role)} of this network: only owners change members", rule="role")
    if plan.nodes and (role is None or not role.writes):
        raise Refused(f"{who} is {_a(role)} of this network and changes nothing", rule="role")
    for change in plan.members:
        if change.address == who and change.role is not Role.OWNER:
            raise Refused(f"{who} is you: another owner takes you out", where="spec.members", rule="members")
    there = {component.name: component for component in content.components}
    for step in plan.nodes:
        found = there.get(step.node)
        if found is not None and address_from_bytes(found.publisher) != who and not _left(found, roster):
            raise Refused(
                f"its pod is {address_from_bytes(found.publisher)}'s, who alone commands it",
                where=f"node {step.node}",
                rule="publisher",
                hint="its publisher applies the file; what is not changed anybody may leave as it is",
            )


def _a(role: Role | None) -> str:
    return "no member" if role is None else f"{'a' if role is Role.VIEWER else 'an'} {role}"


def _check_cards(plan: Plan, members: Sequence[WantedMember], roster: Roster) -> None:
    given = {one.address for one in members if one.card is not None}
    for step in plan.members:
        if step.role is not None and step.address not in roster.members and step.address not in given:
            raise BadInput(
                f"{step.address} is new, and the file names no card of this member",
                where="spec.members",
                hint="`trustedpods network card > FILE` writes one; name it as `card: FILE`",
            )


def signed_changes(
    key: bytes, roster: Roster, steps: Sequence[MemberStep], members: Sequence[WantedMember], at: int
) -> list[MemberChange]:
    """The changes of the team that *steps* are, each signed by an owner's *key* over the one before."""
    cards = {one.address: one.card for one in members if one.card is not None}
    changes = []
    for step in steps:
        member = address_bytes(step.address)
        if step.role is None:
            change = sign_change(key, roster, "remove", at=at, member=member)
        else:
            change = sign_change(
                key,
                roster,
                "set",
                at=at,
                role=step.role,
                member=member,
                subject=_subject(roster, cards, step),
            )
        roster = changed(roster, change)
        changes.append(change)
    return changes


def _subject(roster: Roster, cards: Mapping[Address, MemberCard], step: MemberStep) -> bytes:
    card, known = cards.get(step.address), roster.members.get(step.address)
    if card is not None:
        return hashlib.sha256(card.key).digest()
    return known.key_digest if known is not None else NO_BYTES32
