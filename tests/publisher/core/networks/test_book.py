# SPDX-License-Identifier: Apache-2.0
"""From confirmed endpoints to a node's part of the book."""

import pytest

from tests.fakes.provider.pods import a_manifest
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.pod import Endpoint
from trustedpods.publisher.core.networks.book import address_entries, book_for, dependents

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
