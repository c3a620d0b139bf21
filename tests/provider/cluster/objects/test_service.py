# SPDX-License-Identifier: Apache-2.0
"""The Services of a pod: their types, ports and addresses, what a namespace may hold, who may call."""

from dataclasses import replace

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import by_kind
from trustedpods.provider.cluster.objects.names import POD_LABEL
from trustedpods.provider.cluster.objects.service import without_addresses
from trustedpods.provider.core.egress import NOT_THE_WORLD
from trustedpods.provider.core.pod import NodePort, ServiceExposure

BOTH = [{"port": 53, "targetPort": 5353}, {"port": 53, "targetPort": 5353, "protocol": "UDP"}]
UDP = [{"port": 7000, "protocol": "UDP"}]
SERVICES = [
    {"name": "db", "ports": [{"port": 5432}, {"port": 8125, "protocol": "UDP"}]},
    {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]},
    {"name": "names", "expose": "nodePort", "ports": BOTH},
    {"name": "game", "expose": "udp", "ports": UDP},
    {"name": "front", "expose": "loadBalancer", "ports": [{"port": 443, "targetPort": 8443}]},
]


def life(**fields):
    return replace(a_life(a_manifest(services=SERVICES, scale={"min": 1, "max": 1})), **fields)


def test_each_service_has_one_that_leads_to_the_replicas():
    made = {one["metadata"]["name"]: one["spec"] for one in by_kind(life(), "Service")}
    assert [(name, spec["type"], spec.get("externalTrafficPolicy")) for name, spec in made.items()] == [
        ("db", "ClusterIP", None),
        ("web", "ClusterIP", None),
        ("names", "NodePort", "Local"),
        ("game", "NodePort", "Cluster"),
        ("front", "LoadBalancer", "Local"),
    ]
    (deployment,) = by_kind(life(), "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert all(spec["selector"] == {POD_LABEL: labels[POD_LABEL]} for spec in made.values())
    assert made["names"]["ports"] == [
        {"name": "tcp-53", "protocol": "TCP", "port": 53, "targetPort": 5353},
        {"name": "udp-53", "protocol": "UDP", "port": 53, "targetPort": 5353},
    ]


def test_the_quota_counts_services_and_their_ports_on_nodes():
    (quota,) = by_kind(life(), "ResourceQuota")
    hard = quota["spec"]["hard"]
    assert (hard["services"], hard["services.nodeports"], hard["services.loadbalancers"]) == ("5", "3", "1")


@pytest.mark.parametrize("callers", [(), ("10.7.0.1/32",)])
def test_the_world_calls_exactly_what_nodes_serve(callers):
    found = {one["metadata"]["name"]: one["spec"] for one in by_kind(life(callers=callers), "NetworkPolicy")}
    (rule,) = found["nodes"]["ingress"]
    assert rule["from"][0] == {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_THE_WORLD)}}
    assert rule["from"][1:] == [{"ipBlock": {"cidr": caller}} for caller in callers]
    assert [(one["protocol"], one["port"]) for one in rule["ports"]] == [
        ("TCP", 5353),
        ("TCP", 8443),
        ("UDP", 5353),
        ("UDP", 7000),
    ]
    assert [one["port"] for one in found["facade"]["ingress"][0]["ports"]] == [8080]


def test_nothing_is_open_where_nodes_serve_nothing():
    assert [one["metadata"]["name"] for one in by_kind(a_life(), "NetworkPolicy")] == ["deny", "facade"]


def test_a_service_keeps_its_addresses_while_it_is_exposed_alike():
    ports = (NodePort("TCP", 53, 30_053), NodePort("UDP", 53, 30_054))
    kept = {
        "names": ServiceExposure("nodePort", None, "10.9.0.7", ports),
        "game": ServiceExposure("nodePort", None, "10.9.0.8", (NodePort("UDP", 7000, 30_070),)),
    }
    made = {one["metadata"]["name"]: one for one in by_kind(life(kept=kept), "Service")}
    assert made["names"]["spec"]["clusterIP"] == "10.9.0.7"
    assert [port["nodePort"] for port in made["names"]["spec"]["ports"]] == [30_053, 30_054]
    assert made["game"]["spec"]["clusterIP"] == "10.9.0.8"
    assert "nodePort" not in made["game"]["spec"]["ports"][0]  # it was exposed in another way
    free = {one["metadata"]["name"]: one for one in by_kind(life(), "Service")}
    front = ServiceExposure("loadBalancer", None, "10.9.0.9", (), ("192.0.2.9",))
    again = by_kind(life(kept={"front": front}), "Service")[-1]
    assert again["spec"]["loadBalancerIP"] == "192.0.2.9"
    assert without_addresses(made["names"]) == free["names"]
