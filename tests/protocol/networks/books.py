# SPDX-License-Identifier: Apache-2.0
"""Address books as nodes of a network are given them."""

from trustedpods.protocol.networks.book import BookEntry, NetworkBook


def entry(node="b", service="web", port=8080, address="192.0.2.7", published=30001, transport="TCP", **more):
    """A port of a node; without an address nobody has confirmed it."""
    given = (
        {"address": address, "published": published, "url": f"{transport.lower()}://{address}:{published}"}
        if address
        else {}
    )
    return BookEntry(node=node, service=service, port=port, transport=transport, **given, **more)


def a_book(*entries, node="a", generation=1, epoch=0):
    """What node `a` of the network `shop` is given."""
    listed = list(entries or [entry()])
    return NetworkBook(network="shop", node=node, epoch=epoch, generation=generation, entries=listed)
