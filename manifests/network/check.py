# SPDX-License-Identifier: Apache-2.0
"""What the model of a Network manifest cannot say: names used twice, circles, and a team without an owner."""

from collections.abc import Iterator, Mapping, Sequence

from trustedpods.manifests.check.names import known, repeated
from trustedpods.manifests.network.model import (
    MAX_NETWORK_NODES,
    MAX_PROBE_COMMAND,
    NetworkManifest,
    NetworkMember,
    NetworkProbe,
    NetworkSpec,
)
from trustedpods.manifests.network.order import circle, meant_by, single_nodes, waits_for
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodSpec
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import parse_address

MAX_NODE_NAME = 50
"""As of `NodeLabel`."""


def network_problems(manifest: NetworkManifest) -> Iterator[Problem]:
    """Everything that is wrong between the parts of *manifest*."""
    spec = manifest.spec
    yield from repeated(("spec", "nodes"), [node.name for node in spec.nodes])
    yield from repeated(("spec", "sharedFiles"), [file.name for file in spec.shared_files])
    yield from repeated(("spec", "externalNodes"), [node.name for node in spec.external_nodes])
    yield from repeated(("spec", "probes"), [probe.name for probe in spec.probes])
    yield from _node_names(spec)
    yield from _templates(spec)
    yield from _dependencies(spec)
    yield from _other_nodes(spec)
    if (founder := manifest.metadata.founder) is not None:
        yield from _checksum(founder, ("metadata", "founder"))
    yield from _members(spec.members or ())


def _other_nodes(spec: NetworkSpec) -> Iterator[Problem]:
    """Nodes that probes and nodes outside any cluster name."""
    meant = meant_by(spec.nodes)
    for index, probe in enumerate(spec.probes):
        if probe.node not in meant:
            text = f"no node {probe.node!r} is there{known(meant)}"
            yield Problem(("spec", "probes", index, "node"), text)
        if sum(len(word.encode(errors="replace")) for word in probe.exec.command) > MAX_PROBE_COMMAND:
            text = f"more than {MAX_PROBE_COMMAND} bytes: write a script into the image"
            yield Problem(("spec", "probes", index, "exec", "command"), text)
    for index, node in enumerate(spec.external_nodes):
        if node.owner is not None:
            yield from _checksum(node.owner, ("spec", "externalNodes", index, "owner"))
        if node.name in meant:
            yield Problem(("spec", "externalNodes", index, "name"), f"{node.name!r} is a node of this file")


def _members(members: Sequence[NetworkMember]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, member in enumerate(members):
        at: Location = ("spec", "members", index, "address")
        yield from _checksum(member.address, at)
        if member.address.lower() in seen:
            yield Problem(at, f"the address {member.address} is used twice")
        seen.add(member.address.lower())
    if members and not any(member.role == "owner" for member in members):
        yield Problem(("spec", "members"), "no owner: somebody must be able to change members")


def probe_problems(spec: NetworkSpec, pods: Mapping[str, PodSpec]) -> Iterator[Problem]:
    """Of probes, where the nodes have these *pods*: those that cannot be asked, or not at any time."""
    meant = meant_by(spec.nodes)
    for index, probe in enumerate(spec.probes):
        at: Location = ("spec", "probes", index)
        alike = (problem for node in meant[probe.node] for problem in _of_probe(at, probe, pods[node]))
        yield from dict.fromkeys(alike)


def _of_probe(at: Location, probe: NetworkProbe, pod: PodSpec) -> Iterator[Problem]:
    own, there = ([one.name for one in part] for part in (pod.containers, pod.running_containers))
    if probe.container is None and len(own) > 1:
        yield Problem(at, f"name one `container` of {', '.join(there)}")
    elif probe.container is not None and probe.container not in there:
        text = f"node {probe.node!r} has no container {probe.container!r}{known(there)}"
        yield Problem((*at, "container"), text)
    if not pod.scale.min:
        text = f"node {probe.node!r} sleeps while nobody asks for it: give its pod `scale: {{min: 1}}`"
        yield Problem((*at, "node"), text)


def _node_names(spec: NetworkSpec) -> Iterator[Problem]:
    """Names that replicas have, beside those of other entries; and how many nodes there are in all."""
    if sum(node.replicas or 1 for node in spec.nodes) > MAX_NETWORK_NODES:
        yield Problem(("spec", "nodes"), f"more than {MAX_NETWORK_NODES} nodes with all replicas")
        return
    owners = {node.name: index for index, node in enumerate(spec.nodes)}
    for one in single_nodes(spec.nodes):
        if one.entry.replicas is None:
            continue
        at: Location = ("spec", "nodes", one.index, "replicas")
        if len(one.name) > MAX_NODE_NAME:
            yield Problem(
                at, f"{one.name!r} has more than {MAX_NODE_NAME} characters: shorten the node's name"
            )
        if owners.get(one.name, one.index) != one.index:
            yield Problem(at, f"a replica is called {one.name!r}, as another node is")


def _templates(spec: NetworkSpec) -> Iterator[Problem]:
    for index, node in enumerate(spec.nodes):
        if node.template is not None and node.template not in spec.templates:
            text = f"no template {node.template!r} is there{known(spec.templates)}"
            yield Problem(("spec", "nodes", index, "template"), text)


def _dependencies(spec: NetworkSpec) -> Iterator[Problem]:
    meant, wrong = meant_by(spec.nodes), False
    for index, node in enumerate(spec.nodes):
        for number, name in enumerate(node.depends_on):
            at: Location = ("spec", "nodes", index, "dependsOn", number)
            if name not in meant:
                yield Problem(at, f"no node {name!r} is there{known(meant)}")
            elif node.name == name or name in meant[node.name]:
                wrong = True
                yield Problem(at, f"{name!r} would wait for itself")
    if not wrong and (found := circle(waits_for(spec.nodes))) is not None:
        at_entry = next(one.index for one in single_nodes(spec.nodes) if one.name == found[0])
        text = f"these wait for each other, so none could begin: {' -> '.join(found)}"
        yield Problem(("spec", "nodes", at_entry, "dependsOn"), text)


def _checksum(address: str, at: Location) -> Iterator[Problem]:
    try:
        parse_address(address)
    except BadInput as error:
        yield Problem(at, error.what)
