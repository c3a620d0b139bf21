# SPDX-License-Identifier: Apache-2.0
"""What a pod's tunnel becomes of its book: peers told apart, and nothing that the book does not name."""

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.exposure.tunnel import Tunnel, TunnelPort
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.book import BookEntry, NetworkBook
from trustedpods.provider.core.networks import tunnels
from trustedpods.provider.core.networks.tunnels import X25519, TunnelEnd

OWN = TunnelEnd(51820, "own key")
TUNNEL = Tunnel(service="link", opens=[TunnelPort(port=8080), TunnelPort(port=53, protocol="UDP")])
NODES = ("b", "c", "d")


def entry(node: str, *, service: str = "link", transport: str = "UDP", key: bytes | None = None) -> BookEntry:
    return BookEntry.model_validate(
        {
            "node": node,
            "service": service,
            "port": 51820,
            "transport": transport,
            "address": "192.0.2.7",
            "published": 30000 + ord(node[0]),
            "url": f"udp://192.0.2.7:{30000 + ord(node[0])}",
            "identity": X25519 + node.encode() * 32 if key is None else key,
        }
    )


def book(*entries: BookEntry) -> NetworkBook:
    return NetworkBook(network="net", node="a", generation=1, entries=list(entries))


def wanted(*entries: BookEntry, places: tuple[str, ...] = NODES) -> dict[str, object]:
    network = Network(nodes=list(NODES), tunnel=TUNNEL)
    return tunnels.wanted_tunnel(network, TUNNEL, OWN, book(*entries), dict.fromkeys(places, "10.9.0.1"))


def test_a_tunnel_as_the_program_takes_it() -> None:
    assert wanted(entry("b")) == {
        "address": tunnels.address_of("net", "a"),
        "port": 51820,
        "key": "own key",
        "opened": [{"protocol": "tcp", "port": 8080}, {"protocol": "udp", "port": 53}],
        "peers": [
            {
                "node": "b",
                "key": "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=",
                "address": tunnels.address_of("net", "b"),
                "endpoint": "10.9.0.1:51820",
            }
        ],
    }


@given(
    st.lists(
        st.builds(
            entry,
            st.sampled_from(NODES),
            service=st.sampled_from(("link", "web")),
            transport=st.sampled_from(("TCP", "UDP")),
            key=st.sampled_from((None, b"", b"x" * 32, X25519 + b"k" * 32)),
        ),
        unique_by=lambda one: (one.node, one.transport),
        max_size=6,
    ),
    st.sets(st.sampled_from(NODES)),
)
def test_peers_are_links_of_the_book_each_with_a_key_of_its_own(
    entries: list[BookEntry], places: set[str]
) -> None:
    entries.sort(key=lambda one: one.place)
    peers = wanted(*entries, places=tuple(places))["peers"]
    assert isinstance(peers, list)
    links = [one for one in entries if (one.service, one.transport) == ("link", "UDP")]
    able = {one.node: one.identity for one in links if one.identity.startswith(X25519)}
    assert {one["node"] for one in peers} <= able.keys() & places
    assert len(peers) == len({able[one["node"]] for one in peers})
    assert len(peers) == len({able[node] for node in able.keys() & places}), "nobody with a key is left out"


def test_addresses_stay_within_the_range_and_differ_by_network() -> None:
    addresses = [tunnels.address_of(f"net{number}", "b") for number in range(50)]
    assert all(IPv4Address(one) in tunnels.ADDRESSES for one in addresses)
    assert len(set(addresses)) == 50
    assert tunnels.address_of("net", "b") == "100.65.64.198", "nodes that run keep it over all versions"


def test_two_nodes_of_one_address_are_refused() -> None:
    seen: dict[str, str] = {}
    for number in range(100_000):
        node = f"n{number}"
        other = seen.setdefault(tunnels.address_of("net", node), node)
        if other != node:
            break
    pair = book(*(entry(one, key=b"") for one in sorted((other, node))))
    with pytest.raises(Refused, match="would have one address") as refused:
        tunnels.check_addresses(pair, Network(nodes=[node, other]))
    assert refused.value.rule == "tunnel"
    tunnels.check_addresses(pair, Network(nodes=[node], linkedNodes=1))
    tunnels.check_addresses(book(entry("b"), entry("c")), Network(nodes=["b", "c"]))


def test_a_linked_node_of_another_owner_is_no_peer() -> None:
    linked = entry("e")
    assert wanted(entry("b"), linked, places=(*NODES, "e"))["peers"] == wanted(entry("b"))["peers"]


def test_names_are_those_of_the_nodes_in_the_manifest() -> None:
    network = Network(nodes=["b"], tunnel=TUNNEL)
    assert tunnels.tunnel_names(network, "net") == {"b.tunnel.net.internal": tunnels.address_of("net", "b")}
    assert tunnels.tunnel_names(Network(nodes=["b"]), "net") == {}


@pytest.mark.parametrize(
    ("since", "heard", "told"),
    [
        (tunnels.SILENT_S - 1, {"b": -1}, []),
        (tunnels.SILENT_S, {"b": -1, "c": 3}, ["b"]),
        (9000, {"c": tunnels.SILENT_S + 1, "b": tunnels.SILENT_S + 1, "d": tunnels.SILENT_S}, ["b", "c"]),
    ],
)
def test_who_is_silent(since: int, heard: dict[str, int], told: list[str]) -> None:
    assert tunnels.silent(heard, since) == told
