# SPDX-License-Identifier: Apache-2.0
"""Names and addresses of localnets never meet."""

import ipaddress
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.settings import ClusterSettings, Knobs, Ports, Settings, check_name
from trustedpods.protocol.errors import BadInput

PORTS = Ports(chain=8545, http=18080, registry=5000, metrics=9464, peer=4001)


def settings(name: str = "market", octet: int = 137, clusters: int = 8, **more: object) -> Settings:
    parts = tuple(ClusterSettings(index=index, ports=PORTS) for index in range(1, clusters + 1))
    values = {"state": Path("/state") / name, "octet": octet, "clusters": parts, **more}
    return Settings.model_validate({"name": name, **values})


def test_networks_of_clusters_do_not_overlap() -> None:
    one = settings()
    outer = ipaddress.ip_network(one.network)
    inner = [ipaddress.ip_network(f"{one.gateway}/24", strict=False)]
    for cluster in one.all_clusters():
        inner += [ipaddress.ip_network(cluster.pod_network), ipaddress.ip_network(cluster.service_network)]
        assert ipaddress.ip_address(cluster.node_ip) in inner[0]
        assert ipaddress.ip_address(cluster.dns_ip) in ipaddress.ip_network(cluster.service_network)
    assert all(network.subnet_of(outer) for network in inner)
    assert not any(left.overlaps(right) for left, right in combinations(inner, 2))


def test_names_fit_into_a_link_and_are_unique() -> None:
    one = settings(octet=250)
    links = [one.bridge, *(cluster.veth for cluster in one.all_clusters())]
    assert len(set(links)) == len(links)
    assert all(len(link) <= 15 for link in links)


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
