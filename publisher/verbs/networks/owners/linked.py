# SPDX-License-Identifier: Apache-2.0
"""A Network file with what the state's links say of other owners' nodes."""

from dataclasses import replace

from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.publisher.core.networks.owners.links import by_owner, check_shared
from trustedpods.publisher.core.networks.owners.missing import MissingNode
from trustedpods.publisher.core.networks.owners.nodes import check_apart, closed_nodes_of, nodes_of
from trustedpods.publisher.verbs.networks.files import NetworkFile, check_references


def with_links(file: NetworkFile, content: NetworkContent) -> NetworkFile:
    """*file*, whose nodes may call those that it names of other owners, as *content* has them.

    Of an owner who left they lead nowhere; those of which a linked owner tells no more are `missing`. Raises
    Refused (rule `genesis`) where shared files differ, and BadInput for a node of somebody who is not linked.
    """
    check_shared(content.links, file.hashes)
    others = nodes_of(content.links)
    check_apart(file.pods, others)
    found, closed = dict(file.external), closed_nodes_of(content.links)
    missing = dict[str, MissingNode]()
    called = {name for pod in file.pods.values() for name in pod.manifest.spec.network.nodes}
    for name, owner in file.linked.items():
        if name not in called:
            continue
        link = by_owner(content.links, address_bytes(owner))
        entries = others.get(name) or closed.get(name)
        his = link is not None and name.startswith(f"{link.alias}-")
        if entries is not None and his:
            found[name] = entries
            continue
        there = sorted(one for one in others if link is not None and one.startswith(f"{link.alias}-"))
        missing[name] = MissingNode(name, owner, there)
        if not his:
            raise missing[name].error
    made = replace(file, external=found, others=others, missing=missing)
    whole = file.pods.keys() - made.callers_of_missing.keys()
    check_references(file.network.name, file.pods, whole, found, closed.keys() - others.keys())
    return made
