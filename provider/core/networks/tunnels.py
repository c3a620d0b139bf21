# SPDX-License-Identifier: Apache-2.0
"""Encrypted links between nodes: from an address book to what the device in a pod's network is to be. Pure.

Why it stands there is in docs/adr/0012-tunnels-in-the-pods-namespace.md. Whatever a book says, it is about
the peers of one pod alone.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.exposure.tunnel import Tunnel
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.book import NAMES_END, NetworkBook
from trustedpods.protocol.sealing.public_keys import identity_text

ADDRESSES = IPv4Network("100.64.0.0/10")
"""Of all tunnels: shared address space (RFC 6598), which no provider routes, and every one keeps closed."""

X25519 = bytes.fromhex("302a300506032b656e032100")
"""How a key of this kind begins in DER; 32 bytes follow."""

SILENT_S = 200
"""A peer that is there renews its handshake every 120 s, or as soon as it is back within 5 s of a try."""


@dataclass(frozen=True, slots=True)
class TunnelEnd:
    """What is the pod's own of its tunnel: the port at which it listens, and its private key in base64."""

    port: int
    key: str


def address_of(network: str, node: str) -> str:
    """The node's address in the tunnels of its *network*, in every cluster, as long as it is called so."""
    number = int.from_bytes(hashlib.sha256(f"{network}/{node}".encode()).digest()[:4], "big")
    return str(ADDRESSES[number % ADDRESSES.num_addresses])


def tunnel_names(network: Network, name: str) -> dict[str, str]:
    """The names by which a pod of the *network* called *name* calls others by its tunnel, with addresses."""
    if network.tunnel is None:
        return {}
    return {f"{node}.tunnel.{name}.{NAMES_END}": address_of(name, node) for node in network.nodes}


def check_addresses(book: NetworkBook, network: Network) -> None:
    """Refused (rule `tunnel`) where two nodes would have one address: they are made of their names.

    The pod's *network* names its peers. Whoever else is linked to it has no place in the tunnel, and so
    cannot take one by a name that is made for that.
    """
    seen: dict[str, str] = {}
    for node in (book.node, *network.nodes):
        other = seen.setdefault(address_of(book.network, node), node)
        if other != node:
            raise Refused(
                f"the nodes {other} and {node} would have one address in the tunnel",
                rule="tunnel",
                hint="give one of them another name",
            )


def wanted_tunnel(
    network: Network, tunnel: Tunnel, own: TunnelEnd, book: NetworkBook, places: Mapping[str, str]
) -> dict[str, Any]:
    """The pod's device as `deploy/tunnel` is told; *places* is where the way to each node begins.

    Peers are those of the *network*'s own `nodes` whose link's service stands in the book, with a key of the
    right kind and a way. Nodes of other owners, who are linked to it, are none: the manifest names nobody of
    them, and what it opens is not for whoever comes.
    """
    peers: dict[str, dict[str, str]] = {}
    for entry in book.entries:
        listens = (entry.service, entry.transport) == (tunnel.service, "UDP") and entry.node in network.nodes
        if listens and entry.node in places and entry.identity.startswith(X25519):
            key = identity_text(entry.identity, "base64")
            if key not in peers:  # one key is one peer
                peers[key] = {
                    "node": entry.node,
                    "key": key,
                    "address": address_of(book.network, entry.node),
                    "endpoint": f"{places[entry.node]}:{entry.port}",
                }
    return {
        "address": address_of(book.network, book.node),
        "port": own.port,
        "key": own.key,
        "opened": [{"protocol": one.protocol.lower(), "port": one.port} for one in tunnel.opens],
        "peers": list(peers.values()),
    }


def silent(heard: Mapping[str, int], since_s: int) -> list[str]:
    """The nodes that were not heard for too long; *heard* has seconds since, -1 for never, by node.

    The tunnel stands for *since_s* seconds: until it could have heard anybody, nobody is silent.
    """
    if since_s < SILENT_S:
        return []
    return sorted(node for node, ago in heard.items() if ago < 0 or ago > SILENT_S)
