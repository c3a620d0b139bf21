# SPDX-License-Identifier: Apache-2.0
"""What an apply leaves alone where a node is called of which its owner tells no more."""

import pytest

from tests.protocol.networks.team import ALICE, BOB
from trustedpods.protocol.networks.members import Role
from trustedpods.publisher.core.networks.owners.missing import MissingNode, held_back
from trustedpods.publisher.core.networks.plan import Doing, MemberStep, NodeStep, Plan, WantedNode

GONE = MissingNode("acme-old", ALICE.address, ["acme-one"])


def wanted(name: str, *after: str) -> WantedNode:
    return WantedNode(name, "k1", bytes(32), after)


def step(node: str, doing: Doing = "deploy") -> NodeStep:
    return NodeStep(doing, node, "k1", "it is not there")


def split(*steps: NodeStep) -> tuple[list[str], list[str]]:
    """Nodes that are changed and those that are not; `b` calls the missing node, `c` comes after it."""
    nodes = [wanted("a"), wanted("b"), wanted("c", "b"), wanted("d", "c"), wanted("e", "a")]
    members = (MemberStep(BOB.address, Role.VIEWER, None),)
    kept, held = held_back(Plan(members, steps), nodes, {"b": GONE})
    assert kept.members == members
    return [one.node for one in kept.nodes], [one.node for one in held]


@pytest.mark.parametrize(
    ("steps", "kept", "held"),
    [
        ([step("a"), step("b"), step("e")], ["a", "e"], ["b"]),
        ([step("a"), step("b"), step("c"), step("d")], ["a"], ["b", "c", "d"]),
        ([step("b", "update"), step("c"), step("d")], ["c", "d"], ["b"]),
        ([step("b", "remove"), step("b"), step("e", "update")], ["e"], ["b", "b"]),
        ([step("gone", "remove"), step("c", "update")], ["gone", "c"], []),
        ([], [], []),
    ],
)
def test_who_calls_it_waits_and_who_waits_for_that_one(
    steps: list[NodeStep], kept: list[str], held: list[str]
) -> None:
    assert split(*steps) == (kept, held)


def test_it_is_said_which_nodes_the_owner_tells_of() -> None:
    assert "'acme-old'" in GONE.error.what
    assert "acme-one" in (GONE.error.hint or "")
    assert "none" in (MissingNode("acme-old", ALICE.address, []).error.hint or "")
