# SPDX-License-Identifier: Apache-2.0
"""Who may connect to a pod, and where the pod may."""

from dataclasses import replace

from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind, lives


@given(lives())
def test_only_the_facade_comes_in_and_nobody_goes_out(life):
    deny, facade = by_kind(life, "NetworkPolicy")
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (rule,) = facade["spec"]["ingress"]
    assert rule["from"] == [{"ipBlock": {"cidr": "10.128.0.11/32"}}]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}]


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
