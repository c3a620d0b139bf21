# SPDX-License-Identifier: Apache-2.0
"""What an apply leaves alone where a file still calls a node of which its owner tells no more. Pure.

Such a node had ports, and nobody says any more which: whoever calls it can be given no address book. Where
it runs it keeps the book that it has, and `watch` closes the missing node there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address
from trustedpods.publisher.core.networks.plan import NodeStep, Plan, WantedNode


@dataclass(frozen=True, slots=True)
class MissingNode:
    """A node that the file names and its owner does not; `there` are those that he tells of."""

    name: str
    owner: Address
    there: Sequence[str]

    @property
    def error(self) -> BadInput:
        """Why whoever calls it cannot be deployed, or changed."""
        none = "none; `trustedpods network import` takes them"
        return BadInput(
            f"{self.owner} has told of no node {self.name!r}",
            where="spec.externalNodes",
            hint=f"nodes of this owner: {', '.join(self.there) or none}",
        )


def held_back(
    plan: Plan, nodes: Sequence[WantedNode], callers: Mapping[str, MissingNode]
) -> tuple[Plan, tuple[NodeStep, ...]]:
    """*plan* without what it does to *callers* of missing nodes, and what that is.

    A node that is to be begun only after one of them serves is held back with it. Removals of other nodes,
    members and all else stay.
    """
    held = {step.node for step in plan.nodes if step.node in callers}
    coming = {step.node for step in plan.nodes if step.doing != "update"}
    for _ in nodes:  # each round finds at least one, or there is none left
        later = {one.name for one in nodes if one.name in coming and held & coming & set(one.after)}
        if later <= held:
            break
        held |= later
    kept = tuple(step for step in plan.nodes if step.node not in held)
    return replace(plan, nodes=kept), tuple(step for step in plan.nodes if step.node in held)
