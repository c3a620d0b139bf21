# SPDX-License-Identifier: Apache-2.0
"""Links to other owners as people see them."""

from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.owners.exports import read_export
from trustedpods.protocol.networks.owners.links import OwnerLink
from trustedpods.publisher.core.networks.owners.links import OPEN, status_text
from trustedpods.publisher.core.networks.owners.nodes import entries_of
from trustedpods.publisher.results.networks import OwnerStatus


def owner_status(link: OwnerLink, now: int) -> OwnerStatus:
    """A link for people: how far it is, and where its nodes are."""
    nodes = entries_of(link.alias, read_export(link.export)) if link.export and link.state in OPEN else {}
    return OwnerStatus(
        address_from_bytes(link.owner),
        status_text(link, now),
        {name: tuple(entry.url for entry in entries) for name, entries in nodes.items()},
    )
