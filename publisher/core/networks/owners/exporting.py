# SPDX-License-Identifier: Apache-2.0
"""What a network exports of its nodes: all that are reached, with nothing that is not known. Pure."""

from collections.abc import Mapping, Sequence

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.networks.book import BookEntry
from trustedpods.protocol.networks.content import NetworkContent
from trustedpods.protocol.networks.owners.exports import ExportedNode, ExportedPort
from trustedpods.publisher.core.networks.book import published_entries


def exported_nodes(manifests: Mapping[str, PodManifest], content: NetworkContent) -> list[ExportedNode]:
    """The nodes of *manifests* that expose a service, as *content* knows them.

    Refused (rule `not-known`) with every port of which no provider has said yet where it is;
    BadInput for a node that no export may hold.
    """
    nodes, unknown = [], list[str]()
    for name in sorted(manifests):
        entries = sorted(
            published_entries(name, manifests[name], content.addresses), key=lambda one: one.place
        )
        unknown += [f"{name}/{one.service}:{one.port}" for one in entries if not one.address]
        try:
            nodes += _exported(name, [one for one in entries if one.address])
        except ValueError as wrong:
            errors = getattr(wrong, "errors", None)
            text = errors(include_url=False)[0]["msg"] if errors else wrong
            raise BadInput(f"it cannot be told to another owner: {text}", where=f"node {name}") from None
    if unknown:
        raise Refused(
            f"it is not known yet where these are: {', '.join(unknown)}",
            rule="not-known",
            hint="`trustedpods network apply` brings them up; then export again",
        )
    return nodes


def _exported(name: str, entries: Sequence[BookEntry]) -> list[ExportedNode]:
    """The node *name*, where it has ports. ValueError where no export may hold it."""
    if not entries:
        return []
    ports = [
        ExportedPort(
            service=one.service,
            port=one.port,
            transport=one.transport,
            address=one.address,
            published=one.published,
            url=one.url,
        )
        for one in entries
    ]
    identity = next((one.identity for one in entries if one.identity), b"")
    return [ExportedNode(name=name, identity=identity, ports=ports)]
