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


def a_book(*entries, node="a", generation=1):
    """What node `a` of the network `shop` is given."""
    return NetworkBook(network="shop", node=node, generation=generation, entries=list(entries or [entry()]))
