# SPDX-License-Identifier: Apache-2.0
"""The probes of a Network file, one for each node that is asked. Pure."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from trustedpods.manifests.network.model import NetworkSpec
from trustedpods.manifests.network.order import meant_by


@dataclass(frozen=True, slots=True)
class NodeProbe:
    """A command that ends with 0 in the `container` of one node, within `limit_s` seconds in all."""

    name: str
    node: str
    container: str | None
    command: tuple[str, ...]
    limit_s: int


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """With which code the command ended, None where it could not be run, and the last that it wrote."""

    code: int | None
    said: str


def node_probes(spec: NetworkSpec) -> Iterator[NodeProbe]:
    """Every probe of the file; one at an entry with replicas is asked of each."""
    meant = meant_by(spec.nodes)
    for probe in spec.probes:
        for node in meant[probe.node]:
            command = tuple(probe.exec.command)
            yield NodeProbe(probe.name, node, probe.container, command, probe.timeout_seconds)


def of_nodes(probes: Collection[NodeProbe], nodes: Collection[str]) -> tuple[NodeProbe, ...]:
    """Those that are asked of *nodes*."""
    return tuple(probe for probe in probes if probe.node in nodes)
