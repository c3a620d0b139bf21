# SPDX-License-Identifier: Apache-2.0
"""From confirmed endpoints to a node's part of the book."""

from dataclasses import replace

import pytest

from tests.fakes.network_states import state_of
from tests.fakes.provider.pods import a_manifest
from tests.protocol.networks.books import a_book, entry
from trustedpods.manifests.rendering import WrongReference
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.protocol.networks.content import AddressEntry
from trustedpods.provider.core.generated import key_pairs
from trustedpods.publisher.core.networks import components
from trustedpods.publisher.core.networks.book import (
    LinkedNodes,
    address_entries,
    book_for,
    check_identities,
    dependents,
    external_entries,
    renewed,
)
from trustedpods.publisher.core.networks.plan import WantedNode

WEB = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
P2P = {
    "name": "p2p",
    "expose": "nodePort",
    "ports": [{"port": 8080}, {"port": 8080, "protocol": "UDP"}],
}


def manifests(**calls):
    return {
        name: a_manifest(services=[WEB, P2P], scale={"min": 1}, network={"nodes": list(nodes)})
        for name, nodes in calls.items()
    }


def ends(*urls):
    return [Endpoint(service=service, port=port, url=url) for service, port, url in urls]


CONFIRMED = ends(
    ("web", 80, "http://b.example:8080/"),
    ("web", 80, "http://own.example/api"),
    ("web", 80, "https://b.example/"),
    ("p2p", 8080, "tcp://192.0.2.7:30001"),
    ("p2p", 8080, "udp://192.0.2.7:30001"),
)


def test_the_books_lines_are_each_scheme_of_each_port_once():
    entries = address_entries("b", CONFIRMED, 7)
    assert [(one.service, one.port, one.url, one.generation) for one in entries] == [
        ("p2p", 8080, "tcp://192.0.2.7:30001", 7),
        ("p2p", 8080, "udp://192.0.2.7:30001", 7),
        ("web", 80, "http://b.example:8080/", 7),
        ("web", 80, "https://b.example/", 7),
    ]
    assert entries == sorted(entries, key=lambda one: one.place)


def test_a_node_is_given_what_it_calls_and_no_more():
    nodes = manifests(a="bc", b="a", c="")
    book = book_for("a", "shop", nodes, address_entries("b", CONFIRMED, 7), 8)
    assert (book.network, book.node, book.generation, book.nodes) == ("shop", "a", 8, ["b", "c"])
    found = {(one.service, one.transport): (one.address, one.published) for one in book.of("b")}
    assert found["p2p", "TCP"] == found["p2p", "UDP"] == ("192.0.2.7", 30001)
    assert found["web", "TCP"][0] == "b.example"
    assert {one.address for one in book.of("c")} == {""}, "nobody has confirmed it yet"
    assert book_for("c", "shop", nodes) is None
    assert book_for("elsewhere", "shop", nodes) is None
    assert dependents(nodes, ["b"]) == ["a"]
    assert dependents(nodes, ["a", "c"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("calls", "why"),
    [({"a": "x"}, "not there"), ({"a": "a"}, "which it is"), ({"a": "b", "b": ""}, "same port")],
)
def test_what_cannot_be_called_is_refused(calls, why):
    nodes = manifests(**calls)
    if why == "same port":
        twice = [P2P, {**P2P, "name": "api"}]
        nodes["b"] = a_manifest(services=twice, scale={"min": 1})
    with pytest.raises(BadInput, match=why) as caught:
        book_for("a", "shop", nodes)
    assert "node a" in caught.value.where


def test_a_node_that_exposes_nothing_cannot_be_called():
    nodes = manifests(a="b") | {"b": a_manifest(services=[], scale={"min": 1})}
    with pytest.raises(BadInput, match="exposes no service"):
        book_for("a", "shop", nodes)


NO_ADDRESSES = [
    "http://[",
    "http://x_y:80",
    "http://[2001:db8::1]:80/",
    "http://b.example/?a=b",
    "http://b:99999",
]


@pytest.mark.parametrize("url", [*NO_ADDRESSES, "http://" + "b" * 400])
def test_what_a_provider_or_a_member_says_that_is_no_address_leaves_the_place_unknown(url):
    told = address_entries("b", ends(("web", 80, url), ("no name!", 80, "http://b.example/")), 7)
    assert {entry.service for entry in told} <= {"web"}
    told = [AddressEntry(component="b", service="web", port=80, url=url, generation=7)]
    book = book_for("a", "shop", manifests(a=["b"], b=[]), told, 7)
    assert book is not None
    assert [entry.address for entry in book.of("b")] == ["", "", ""]


def test_an_update_where_it_is_keeps_a_nodes_addresses_and_a_move_does_not():
    entries = address_entries("b", CONFIRMED, 7)
    node, who = WantedNode("b", "k1", b"1" * 32), Address("0x" + "ab" * 20)
    state = components.with_component(state_of(), components.started(components.requested(node, who)))
    state = components.with_addresses(state, "b", entries)
    newer = components.requested(replace(node, digest=b"2" * 32), who)
    assert addresses_of(components.with_component(state, newer)) == entries
    moved = components.requested(replace(node, cluster="k2"), who)
    for other in (moved, components.stopping(newer)):
        assert addresses_of(components.with_component(state, other)) == []


def addresses_of(state):
    return [one for one in state.addresses if one.component == "b"]


def test_a_book_is_renewed_by_the_newest_lines_of_the_state():
    old = a_book(entry("b", "web", 80, published=30001), entry("c", "web", 81, address=""))
    lines = [
        AddressEntry(component="b", service="web", port=80, url="tcp://192.0.2.9:30005", generation=4),
        AddressEntry(component="b", service="web", port=80, url="tcp://192.0.2.8:30004", generation=3),
        AddressEntry(component="x", service="web", port=80, url="tcp://192.0.2.1:30009", generation=9),
    ]
    new = renewed(old, lines, 7, epoch=3)
    assert (new.age, new.network, new.node) == ((3, 7), old.network, old.node)
    assert [(one.node, one.address, one.published) for one in new.entries] == [
        ("b", "192.0.2.9", 30005),
        ("c", "", 0),
    ]
    gone = renewed(new, [], 8)
    assert [one.address for one in gone.entries] == ["", ""], "a node that is removed leads nowhere"


def test_nodes_outside_any_cluster_are_where_their_endpoints_say():
    ends = {
        "p2p": "203.0.113.7:30303",
        "find": "udp://203.0.113.7:30301",
        "rpc": "tcp://node.example.org:443",
        "UPPER": "203.0.113.7:1",
        "url": "https://node.example.org/path",
        "far": "203.0.113.7:70000",
    }
    found = external_entries("partner", ends, "0xAb01")
    assert [(one.service, one.transport, one.address, one.published, one.port) for one in found] == [
        ("p2p", "TCP", "203.0.113.7", 30303, 30303),
        ("find", "UDP", "203.0.113.7", 30301, 30301),
        ("rpc", "TCP", "node.example.org", 443, 443),
    ]
    assert {one.identity for one in found} == {b"\xab\x01"}
    assert external_entries("partner", {"p2p": "203.0.113.7:1"}, "enode://x")[0].identity == b""


def test_a_node_outside_is_given_as_one_of_the_file_and_stays_when_the_state_is_read_anew():
    outside = {"partner": external_entries("partner", {"p2p": "203.0.113.7:30303"}, None), "lost": []}
    nodes = manifests(a=["b", "partner"], b=[], c=["lost"])
    book = book_for("a", "shop", nodes, external=outside)
    assert [(one.node, one.address) for one in book.entries] == [
        ("b", ""), ("b", ""), ("b", ""), ("partner", "203.0.113.7"),
    ]  # fmt: skip
    assert renewed(book, [], 3, ["partner"]).of("partner") == book.of("partner")
    assert renewed(book, [], 3).of("partner")[0].address == ""
    with pytest.raises(BadInput, match="of which no endpoint says where it is") as caught:
        book_for("c", "shop", nodes, external=outside)
    assert "tcp://ADDRESS:PORT" in caught.value.hint


P256 = key_pairs.public_key(key_pairs.made_key("p256", lambda size: b"\x07" * size))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${node.a.identity.hex} ${node.a.identity.pem} ${node.k.identity.enodeId}", None),
        ("${node.p.identity.base64} ${node.b.p2p.address}", None),
        ("${node.b.identity.hex}", "node 'b' is known by nothing that has the form 'hex': one of its keys"),
        ("${node.a.identity.enodeId}", "form 'enodeId': .* of type secp256k1"),
        ("${node.p.identity.pem}", "write `identity` of spec.externalNodes"),
        ("${node.t.identity.ca} ${node.*.identity.ca} ${node.q.identity.ca}", None),
        ("${node.k.identity.ca}", "form 'ca': .* of type p256"),
        ("${node.p.identity.ca}", "write `identity` of spec.externalNodes"),
    ],
)
def test_an_identity_that_no_node_will_have_is_told_before_anything_is_paid(text, why):
    def known_by(kind):
        made = {"id": {"type": kind, "identity": True}}
        return a_manifest(volumes=[{"name": "keys", "secret": {"generate": made}}])

    kinds = {"a": "ed25519", "k": "secp256k1", "t": "p256"}
    manifests = {"b": a_manifest()} | {name: known_by(kind) for name, kind in kinds.items()}
    where, key = {"p2p": "203.0.113.7:30303"}, P256.hex()
    outside = {"p": external_entries("p", where, "0xab01"), "q": external_entries("q", where, key)}
    if why is None:
        check_identities(text, manifests, outside)
        return
    with pytest.raises(WrongReference, match=why):
        check_identities(f"ab {text}", manifests, outside)


def test_of_a_node_whose_owner_left_a_file_may_say_what_nobody_knows_any_more():
    left = {"guest-one": [entry("guest-one", "p2p", 30303, address="")]}
    text = "0xab ${node.guest-one.identity.hex}"
    with pytest.raises(WrongReference, match="is known by nothing"):
        check_identities(text, {}, left)
    check_identities(text, {}, left, gone={"guest-one"})


def test_linked_nodes_that_do_not_fit_one_book_are_said():
    twice = [entry("l-one", "a", 30), entry("l-one", "b", 30)]
    with pytest.raises(BadInput, match="same port"):
        renewed(a_book(entry("b", "web", 80)), [], 2, others=LinkedNodes(open={"l-one": twice}, most=8))
