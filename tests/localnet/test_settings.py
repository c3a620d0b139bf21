# SPDX-License-Identifier: Apache-2.0
"""Names and addresses of localnets never meet."""

import ipaddress
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.cli import up
from trustedpods.localnet.settings import (
    MAX_CLUSTERS,
    MAX_NODES,
    ClusterSettings,
    Knobs,
    Ports,
    Settings,
    check_name,
)
from trustedpods.protocol.errors import BadInput

PORTS = Ports(chain=8545, http=18080, registry=5000, metrics=9464, peer=4001)


def settings(name: str = "market", octet: int = 137, clusters: int = 8, **more: object) -> Settings:
    parts = tuple(ClusterSettings(index=index, ports=PORTS) for index in range(1, clusters + 1))
    values = {"state": Path("/state") / name, "octet": octet, "clusters": parts, **more}
    return Settings.model_validate({"name": name, **values})


def test_networks_of_clusters_do_not_overlap() -> None:
    one = settings(nodes=MAX_NODES)
    outer = ipaddress.ip_network(one.network)
    inner = [ipaddress.ip_network(f"{one.gateway}/24", strict=False)]
    for cluster in one.all_clusters():
        inner += [
            ipaddress.ip_network(cluster.service_network),
            ipaddress.ip_network(cluster.balancer_network),
        ]
        inner += [ipaddress.ip_network(node.pod_network) for node in cluster.nodes]
        assert all(ipaddress.ip_address(node.node_ip) in inner[0] for node in cluster.nodes)
        assert {node.service_network for node in cluster.nodes} == {cluster.service_network}
        assert ipaddress.ip_address(cluster.dns_ip) in ipaddress.ip_network(cluster.service_network)
    assert all(network.subnet_of(outer) for network in inner)
    assert not any(left.overlaps(right) for left, right in combinations(inner, 2))


def test_names_fit_into_a_link_and_are_unique() -> None:
    one = settings(octet=250, nodes=MAX_NODES)
    nodes = [node for cluster in one.all_clusters() for node in cluster.nodes]
    links = [one.bridge, *(node.veth for node in nodes)]
    assert len(set(links)) == len(links)
    assert all(len(link) <= 15 for link in links)
    for distinct in ("name", "namespace", "directory", "node_ip", "pod_network"):
        assert len({getattr(node, distinct) for node in nodes}) == len(nodes) == 8 * MAX_NODES


def test_the_first_of_several_nodes_is_the_only_one_of_one() -> None:
    alone, first = settings().all_clusters()[0], settings(nodes=3).all_clusters()[0]
    assert [node.name for node in first.nodes] == ["k1", "k1n2", "k1n3"]
    assert [node.node_ip for node in first.nodes] == ["10.137.0.11", "10.137.0.21", "10.137.0.31"]
    assert (alone.name, alone.node_ip, alone.pod_network) == (first.name, first.node_ip, first.pod_network)
    assert alone.nodes == [alone]


def test_each_cluster_is_dearer_than_the_one_before() -> None:
    percents = [cluster.price_percent for cluster in settings().all_clusters()]
    assert percents == sorted(set(percents))
    assert percents[0] == 100


def test_an_existing_cluster_is_on_the_caller_s_loopback() -> None:
    one = settings(octet=0, clusters=1, kubeconfig=Path("/config"))
    cluster = one.all_clusters()[0]
    assert (one.gateway, cluster.node_ip, cluster.namespace) == ("127.0.0.1", "127.0.0.1", None)


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True),
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
)
def test_different_names_have_different_chains(one: str, other: str) -> None:
    assert check_name(one) == one
    if one != other:
        assert settings(one).chain_id != settings(other).chain_id


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a-", "a" * 25, "../etc", "a b", "a.b", "a\n"])
def test_names_that_cannot_be_part_of_a_host_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        check_name(name)


def test_stored_settings_are_read_back_equal() -> None:
    one = settings(knobs=Knobs(decimals=6, claim_interval_s=3))
    assert Settings.model_validate_json(one.model_dump_json()) == one


def test_the_command_takes_as_many_as_there_are_addresses_for() -> None:
    bounds = {option.name: option.type for option in up.params}
    assert getattr(bounds["clusters"], "max", None) == MAX_CLUSTERS
    assert getattr(bounds["nodes"], "max", None) == MAX_NODES


def test_a_cluster_that_has_the_machine_alone_has_no_namespace_and_serves_on_the_loopback() -> None:
    (shared,) = settings(clusters=1).all_clusters()
    (alone,) = settings(clusters=1, alone=True).all_clusters()
    assert (shared.namespace, alone.namespace) == ("tp-market-k1", None)
    assert shared.network_name == alone.network_name == "tp-market-k1"
    assert (shared.serving_ip, alone.serving_ip) == (shared.node_ip, "127.0.0.1")
    assert alone.api_server == "https://127.0.0.1:6443"
    assert alone.node_ip == shared.node_ip
