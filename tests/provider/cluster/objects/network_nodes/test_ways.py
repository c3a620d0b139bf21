# SPDX-License-Identifier: Apache-2.0
"""The way to other nodes: a Service that stays, endpoints that move, and exactly those addresses open."""

from dataclasses import replace

from tests.fakes.provider.pods import a_life, a_manifest
from tests.protocol.networks.books import a_book, entry
from tests.provider.names.test_own_pods import PLACE
from trustedpods.provider.cluster.objects.named_egress import nodes_of
from trustedpods.provider.cluster.objects.network_nodes.ways import (
    LOCAL,
    PUBLISHED,
    callers,
    names_of,
    ways,
)
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.core.networks.local_nodes import PublishedPort, WayEnd


def by_kind(book, kind):
    return [one for one in ways(book, {}) if one["kind"] == kind]


def test_the_service_stays_while_the_far_port_changes():
    before, after = a_book(entry(published=30001)), a_book(entry(published=30002), generation=2)
    assert by_kind(before, "Service") == by_kind(after, "Service")
    (service,) = by_kind(before, "Service")
    assert service["metadata"]["name"] == "peer-b"
    assert "selector" not in service["spec"]
    for book, port in ((before, 30001), (after, 30002)):
        (found,) = by_kind(book, "EndpointSlice")
        assert found["ports"] == [{"name": "tcp-8080", "protocol": "TCP", "port": port}]
        assert found["endpoints"] == [{"addresses": ["192.0.2.7"], "conditions": {"ready": True}}]
        assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "peer-b"


def test_a_port_without_an_address_leads_nowhere():
    for far, port in (("", 8080), ("b.example", 30001)):
        (found,) = by_kind(a_book(entry(address=far)), "EndpointSlice")
        assert (found["endpoints"], found["ports"][0]["port"]) == ([], port)


def test_what_is_local_leads_to_replicas_of_the_cluster():
    local = {PublishedPort("TCP", "192.0.2.7", 30001): WayEnd(("10.8.0.5", "10.8.0.6"), 9090)}
    (far,) = by_kind(a_book(), "EndpointSlice")
    (found,) = [one for one in ways(a_book(), local) if one["kind"] == "EndpointSlice"]
    assert [one["addresses"] for one in found["endpoints"]] == [["10.8.0.5"], ["10.8.0.6"]]
    assert found["ports"] == [{"name": "tcp-8080", "protocol": "TCP", "port": 9090}]
    assert found["metadata"]["annotations"] == {PUBLISHED: "TCP 192.0.2.7 30001", LOCAL: "yes"}
    assert far["metadata"]["annotations"] == {PUBLISHED: "TCP 192.0.2.7 30001"}
    (other,) = [one for one in ways(a_book(entry(published=2)), local) if one["kind"] == "EndpointSlice"]
    assert LOCAL not in other["metadata"]["annotations"], "it is another port"


def test_exactly_the_books_addresses_are_open():
    book = a_book(
        entry("b"),
        entry("b", port=8081, published=30009, transport="UDP"),
        entry("c", address=""),
        entry("d", address="d.example"),
    )
    (policy,) = by_kind(book, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert policy["spec"]["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}],
            "ports": [{"protocol": transport, "port": port}],
        }
        for transport, port in (("TCP", 30001), ("UDP", 30009))
    ]
    assert callers(book) == ("192.0.2.7/32",)


def test_a_pods_objects_have_the_ways_and_the_names():
    manifest = a_manifest(
        network={"nodes": ["b"]},
        scale={"min": 1},
        services=[{"name": "p2p", "expose": "nodePort", "ports": [{"port": 8080}]}],
    )
    made = objects(replace(a_life(manifest), book=a_book(), resolver=PLACE))
    names = {(one["kind"], one["metadata"]["name"]) for one in made}
    assert {("Service", "peer-b"), ("EndpointSlice", "peer-b-tcp-8080"), ("Secret", "network.book")} <= names
    policies = {one["metadata"]["name"]: one for one in made if one["kind"] == "NetworkPolicy"}
    assert nodes_of(policies["names"]) == names_of(a_book()) == {"b.shop.internal": "peer-b"}
    assert {"ipBlock": {"cidr": "192.0.2.7/32"}} in policies["nodes"]["spec"]["ingress"][0]["from"]
    (quota,) = [one for one in made if one["kind"] == "ResourceQuota"]
    assert quota["spec"]["hard"]["services"] == "2"
