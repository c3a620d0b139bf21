# SPDX-License-Identifier: Apache-2.0
"""What the model of a Network manifest cannot say: names used twice, circles, and a team without an owner."""

from collections.abc import Iterator

from trustedpods.manifests.check.names import known, repeated
from trustedpods.manifests.network.model import MAX_NETWORK_NODES, NetworkManifest, NetworkSpec
from trustedpods.manifests.network.order import circle, meant_by, single_nodes, waits_for
from trustedpods.manifests.problem import Location, Problem
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
    yield from _node_names(spec)
    yield from _templates(spec)
    yield from _dependencies(spec)
    for index, node in enumerate(spec.external_nodes):
        if node.owner is not None:
            yield from _checksum(node.owner, ("spec", "externalNodes", index, "owner"))
        if node.name in meant_by(spec.nodes):
            yield Problem(("spec", "externalNodes", index, "name"), f"{node.name!r} is a node of this file")
    if (founder := manifest.metadata.founder) is not None:
        yield from _checksum(founder, ("metadata", "founder"))
    members = manifest.spec.members
    if members is None:
        return
    seen: set[str] = set()
    for index, member in enumerate(members):
        at: Location = ("spec", "members", index, "address")
        yield from _checksum(member.address, at)
        if member.address.lower() in seen:
            yield Problem(at, f"the address {member.address} is used twice")
        seen.add(member.address.lower())
    if not any(member.role == "owner" for member in members):
        yield Problem(("spec", "members"), "no owner: somebody must be able to change members")


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
