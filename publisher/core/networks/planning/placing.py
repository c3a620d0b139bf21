# SPDX-License-Identifier: Apache-2.0
"""Which cluster takes which node of a Network file, and what it costs there. Pure.

A node that is in a cluster stays there while the file lets it: a price that changes or a node that comes
moves nobody.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.manifests.network.model import NodePlacement
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.units import TokenUnits
from trustedpods.publisher.core.cost import Shape, cost_of
from trustedpods.publisher.core.networks.plan import WantedNode
from trustedpods.publisher.core.select import Choice, parse_choice


@dataclass(frozen=True, slots=True)
class FileNode:
    """A node as the file has it, before it is known where it runs.

    `entry` is what its replicas have in common, `where` a cluster or what one is chosen by, `after` the
    nodes that it waits for; `stops` and `follows` as of `WantedNode`.
    """

    name: str
    entry: str
    where: str | NodePlacement
    digest: bytes
    shape: Shape
    after: tuple[str, ...] = ()
    stops: bool = False
    follows: Mapping[str, Literal["reload", "restart"]] = field(default_factory=dict)

    def at(self, cluster: str) -> WantedNode:
        """The node in *cluster*."""
        return WantedNode(self.name, cluster, self.digest, self.after, self.stops, self.follows)


def placed(
    nodes: Sequence[FileNode], content: NetworkContent, rows: Mapping[str, RegistryRow]
) -> tuple[WantedNode, ...]:
    """Every node in its cluster, in the order of the file. *rows* are those of clusters that are not lost.

    BadInput, naming the node, where none of the clusters can take it.
    """
    placing = _Placing(rows)
    there = {component.name: component.cluster for component in content.components}
    for node in nodes:  # those whose place is settled come first, whatever their order
        if isinstance(node.where, str):
            if there.get(node.name) != node.where:
                _check_market(node, node.where, content, rows)
            placing.put(node, node.where)
    for node in nodes:
        if isinstance(node.where, NodePlacement) and there.get(node.name) in placing.fitting(
            node, node.where
        ):
            placing.put(node, there[node.name])
    for node in nodes:
        if isinstance(node.where, NodePlacement) and node.name not in placing.found:
            placing.put(node, placing.chosen(node, node.where))
    return tuple(node.at(placing.found[node.name]) for node in nodes)


def _check_market(
    node: FileNode, cluster: str, content: NetworkContent, rows: Mapping[str, RegistryRow]
) -> None:
    """A node that is to come goes where pods are sold. Unknown and lost clusters are the plan's to tell."""
    if cluster not in rows and any(one.name == cluster and one.lost is None for one in content.clusters):
        raise BadInput(
            f"cluster {cluster} takes no pods: its daemon stands in no registry",
            where=f"node {node.name}",
            hint="it keeps the network's documents; place the node in a cluster that sells",
        )


def named(nodes: Sequence[FileNode], names: Sequence[str], where: str = "--only") -> frozenset[str]:
    """The nodes that *names* mean: each a node, or an entry with replicas. BadInput for one that is none."""
    known = {node.name for node in nodes} | {node.entry for node in nodes}
    for name in names:
        if name not in known:
            raise BadInput(
                f"the file has no node {name!r}",
                where=where,
                hint=f"it has: {', '.join(sorted(known)) or 'none'}",
            )
    return frozenset(node.name for node in nodes if node.name in names or node.entry in names)


def hour_of(shape: Shape, row: RegistryRow) -> TokenUnits:
    """What a node costs an hour at full size, by the registry's prices; base units of the token."""
    return cost_of(shape, row.prices, row.least).peak_hour


@dataclass(slots=True)
class _Placing:
    rows: Mapping[str, RegistryRow]
    found: dict[str, str] = field(default_factory=dict)
    taken: set[tuple[str, str]] = field(default_factory=set)
    """Entries of the file, and the owners of providers where they are."""
    load: Counter[str] = field(default_factory=Counter)

    def put(self, node: FileNode, cluster: str) -> None:
        self.found[node.name] = cluster
        self.load[cluster] += 1
        if cluster in self.rows:
            self.taken.add((node.entry, self.rows[cluster].owner))

    def fitting(self, node: FileNode, wanted: NodePlacement) -> list[str]:
        return [cluster for cluster in self.rows if self._why_not(cluster, node, wanted) is None]

    def chosen(self, node: FileNode, wanted: NodePlacement) -> str:
        fitting = self.fitting(node, wanted)
        if not fitting:
            raise BadInput(
                f"none of the network's clusters can take it: {'; '.join(self._reasons(node, wanted))}",
                where=f"node {node.name}",
                hint="loosen its placement, or bring in a cluster that fits",
            )
        if wanted.strategy == "cheapest":
            return min(fitting, key=lambda one: (hour_of(node.shape, self.rows[one]), one))
        return min(fitting, key=lambda one: (self.load[one], one))

    def _reasons(self, node: FileNode, wanted: NodePlacement) -> Iterator[str]:
        for cluster in sorted(self.rows):
            yield f"{cluster} {self._why_not(cluster, node, wanted)}"

    def _why_not(self, cluster: str, node: FileNode, wanted: NodePlacement) -> str | None:
        row = self.rows[cluster]
        if wanted.provider is not None and not parse_choice(wanted.provider).matches(row):
            return f"is {Choice(row.owner, row.daemon)}"
        if wanted.region is not None and row.region != wanted.region:
            return f"is in region {row.region!r}"
        if wanted.distinct is not None and (node.entry, row.owner) in self.taken:
            return f"has a replica at its owner {row.owner} already"
        return None
