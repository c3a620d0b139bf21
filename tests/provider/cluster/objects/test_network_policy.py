# SPDX-License-Identifier: Apache-2.0
"""Who may connect to a pod, and where the pod may."""

from dataclasses import replace

import pytest
from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind, lives
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.ids import Address
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace, hosts_of
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.core.names.own_pods import mark

PLACE = ResolverPlace("10.9.33.11", "10.9.0.11", 5354)


@given(lives())
def test_only_the_facade_comes_in_and_nobody_goes_out(life):
    deny, facade = by_kind(life, "NetworkPolicy")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = facade["spec"]["ingress"]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.128.0.11/32"}}]
    declared = {port.container_port for one in life.manifest.spec.running_containers for port in one.ports}
    assert rule["ports"] == [{"protocol": "TCP", "port": port} for port in sorted(declared)]
    assert 8080 in declared


def test_a_declared_udp_port_is_not_opened_to_the_facade():
    ports = [{"containerPort": 9000}, {"containerPort": 5353, "protocol": "UDP"}]
    container = {"name": "c", "image": "x", "ports": ports}
    facade = by_kind(a_life(a_manifest(containers=[container])), "NetworkPolicy")[1]
    assert [port["port"] for port in facade["spec"]["ingress"][0]["ports"]] == [8080, 9000]


def test_nobody_comes_in_where_no_facade_is_named():
    assert len(by_kind(a_life(ingress_from=()), "NetworkPolicy")) == 1


def test_egress_opens_what_is_asked_for_and_never_closed_networks():
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]}
    life = a_life(a_manifest(network={"egress": [rule]}))
    egress = by_kind(replace(life, closed_networks=("10.0.0.0/8",)), "NetworkPolicy")[2]
    assert egress["spec"] == {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}],
                "ports": [{"protocol": "TCP", "port": 443, "endPort": 443}],
            }
        ],
    }


def test_the_probed_port_is_open_too():
    container = {
        "name": "c",
        "image": "x",
        "readinessProbe": {"tcpSocket": {"port": 9000}},
        "livenessProbe": {"grpc": {"port": 9001}},
        "startupProbe": {"exec": {"command": ["/check"]}},
        "lifecycle": {"preStop": {"httpGet": {"port": 9002}}},
    }
    facade = by_kind(a_life(a_manifest(containers=[container])), "NetworkPolicy")[1]
    assert [port["port"] for port in facade["spec"]["ingress"][0]["ports"]] == [8080, 9000, 9001, 9002]


ALICE = Address("0x" + "a1" * 20)


def own(**spec):
    manifest = a_manifest(**spec)
    name = manifest.metadata.name
    return by_kind(replace(a_life(manifest), publisher=ALICE, resolver=PLACE), "NetworkPolicy"), mark(
        ALICE, name
    )


def test_own_pods_come_in_at_services_that_are_not_exposed_if_they_say_so():
    ports = [{"port": 30303}, {"port": 30303, "protocol": "UDP"}]
    services = [
        {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]},
        {"name": "p2p", "ports": ports},
    ]
    (*_, called), mine = own(services=services)
    assert called["metadata"]["name"] == "called"
    (rule,) = called["spec"]["ingress"]
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {f"calls.trustedpods.dev/{mine}": "yes"}}}]
    assert rule["ports"] == [{"protocol": name, "port": 30303} for name in ("TCP", "UDP")]
    assert called["spec"]["policyTypes"] == ["Ingress"]
    assert len(own()[0]) == 2, "who has nothing but exposed services is called by nobody"


def test_a_pod_reaches_exactly_the_own_pods_that_it_names():
    rules = [{"to": [{"pod": "nodes"}], "ports": [{"port": 8545}]}, {"to": [{"pod": "db"}]}]
    (*_, calls, _asks), _mine = own(network={"egress": rules})
    assert calls["metadata"]["name"] == "calls"
    found = {
        rule["to"][0]["namespaceSelector"]["matchLabels"]["trustedpods.dev/named"]: rule["ports"]
        for rule in calls["spec"]["egress"]
    }
    assert found.keys() == {mark(ALICE, "nodes"), mark(ALICE, "db")}
    assert found[mark(ALICE, "nodes")] == [{"protocol": "TCP", "port": 8545, "endPort": 8545}]
    assert {"protocol": "TCP", "port": 1, "endPort": 65535} in found[mark(ALICE, "db")], "mail too"


@pytest.mark.parametrize(
    ("smtp", "tcp"),
    [(False, [(1, 24), (26, 464), (466, 586), (588, 65535)]), (True, [(1, 65535)])],
)
def test_ports_of_mail_are_open_to_the_outside_only_where_the_operator_opens_them(smtp, tcp):
    to = [{"ipBlock": {"cidr": "203.0.113.0/24"}}, {"host": "mail.example.org"}]
    life = a_life(a_manifest(network={"egress": [{"to": to}]}))
    made = objects(replace(life, resolver=PLACE, publisher=ALICE, smtp=smtp))
    policies = {one["metadata"]["name"]: one for one in made if one["kind"] == "NetworkPolicy"}
    (rule,) = policies["egress"]["spec"]["egress"]
    assert [(one["port"], one["endPort"]) for one in rule["ports"] if one["protocol"] == "TCP"] == tcp
    ranges = hosts_of(policies["names"])["mail.example.org"]
    assert [(first, last) for name, first, last in ranges if name == "TCP"] == tcp
    assert ("UDP", 1, 65535) in ranges


def test_a_pod_taken_while_mail_was_open_is_made_without_it_once_it_is_closed():
    mail = {"ports": [{"port": 587}], "to": [{"ipBlock": {"cidr": "203.0.113.0/24"}}, {"host": "m.example"}]}
    web = {"ports": [{"port": 443}], "to": [{"host": "w.example"}]}
    life = replace(a_life(a_manifest(network={"egress": [mail, web]})), resolver=PLACE, publisher=ALICE)
    made = objects(replace(life, smtp=False))
    policies = {one["metadata"]["name"]: one for one in made if one["kind"] == "NetworkPolicy"}
    assert "egress" not in policies, "a rule without ports would open all of them"
    assert hosts_of(policies["names"]) == {"w.example": (("TCP", 443, 443),)}


def test_a_life_that_calls_own_pods_says_whose_they_are():
    with pytest.raises(LocalProtocolError, match="nobody is named"):
        objects(replace(a_life(a_manifest(network={"egress": [{"to": [{"pod": "db"}]}]})), resolver=PLACE))


def test_only_who_asks_for_its_own_sleep_reaches_where_that_is_asked():
    life = replace(a_life(a_manifest(scale={"ownSleep": True})), sleep_place=("10.9.0.11", 5355))
    [asks] = [one for one in by_kind(life, "NetworkPolicy") if one["metadata"]["name"] == "own-sleep"]
    [rule] = asks["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "10.9.0.11/32"}}]
    assert [(port["protocol"], port["port"], port["endPort"]) for port in rule["ports"]] == [
        ("TCP", 5355, 5355)
    ]
    assert objects(replace(a_life(), sleep_place=life.sleep_place)) == objects(a_life())
    with pytest.raises(LocalProtocolError, match="own sleep"):
        objects(replace(life, sleep_place=None))
