# SPDX-License-Identifier: Apache-2.0
"""The nodes that a Network file stands for, by their own names, and which of them wait for which. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from trustedpods.manifests.network.model import NetworkNode


@dataclass(frozen=True, slots=True)
class SingleNode:
    """One node: entry number `index` of the file, and which of its replicas, from 1 (1 without replicas)."""

    name: str
    index: int
    number: int
    entry: NetworkNode


def single_nodes(nodes: Sequence[NetworkNode]) -> Iterator[SingleNode]:
    """Every node of the file: an entry with `replicas` is NAME-1 to NAME-N."""
    for index, entry in enumerate(nodes):
        if entry.replicas is None:
            yield SingleNode(entry.name, index, 1, entry)
            continue
        for number in range(1, entry.replicas + 1):
            yield SingleNode(f"{entry.name}-{number}", index, number, entry)


def meant_by(nodes: Sequence[NetworkNode]) -> dict[str, tuple[str, ...]]:
    """What a name in `dependsOn` stands for: one node, or all replicas of an entry."""
    meant: dict[str, tuple[str, ...]] = {}
    for one in single_nodes(nodes):
        meant[one.entry.name] = (*meant.get(one.entry.name, ()), one.name)
    return meant | {one.name: (one.name,) for one in single_nodes(nodes) if one.entry.replicas is not None}


def waits_for(nodes: Sequence[NetworkNode]) -> dict[str, tuple[str, ...]]:
    """The nodes that each node waits for, each once; names that stand for nothing are left out."""
    meant = meant_by(nodes)
    return {
        one.name: tuple(
            dict.fromkeys(name for wanted in one.entry.depends_on for name in meant.get(wanted, ()))
        )
        for one in single_nodes(nodes)
    }


def circle(waiting: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Names that wait for each other in a circle, the first one at both ends; None where there is none."""
    try:
        TopologicalSorter(waiting).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return None
