# SPDX-License-Identifier: Apache-2.0
"""What the guest runs, in which order, and where it listens."""

import json
import re

import pytest

from tests.localnet.guest.configurations import STATE, one_cluster, read
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.guest import plan
from trustedpods.localnet.processes.units import Part


@pytest.fixture
def units(monkeypatch):
    monkeypatch.setenv("TRUSTEDPODS_PROGRAMS", "/usr/lib/trustedpods/bin")
    return {unit.name: unit for unit in plan.units(plan.settings(STATE), read())}


def everything_before(units, name, seen=frozenset()):
    assert name not in seen, f"{name} waits for itself"
    found = set(units[name].needs)
    for need in units[name].needs:
        found |= everything_before(units, need, seen | {name})
    return found


def test_every_unit_waits_for_units_that_are_there_and_never_for_itself(units):
    assert "k1/prepare" in units
    for name in units:
        assert everything_before(units, name) <= set(units)


def test_the_daemon_starts_after_the_agent_that_keeps_pods_apart_and_all_that_it_uses(units):
    before = everything_before(units, "k1/provider")
    assert {
        "k1/etcd", "k1/apiserver", "k1/controllers", "k1/scheduler", "k1/containerd", "k1/images",
        "k1/kubelet", "k1/netpol", "k1/proxy", "k1/registry", "k1/haproxy", "k1/activator",
    } <= before  # fmt: skip


def test_nothing_enters_a_namespace_and_every_program_is_the_images(units):
    parts = [unit for unit in units.values() if isinstance(unit, Part)]
    assert len(parts) > 10
    for part in parts:
        assert "nsenter" not in part.argv[0]
        assert ".cache" not in part.argv[0]
    assert units["k1/kubelet"].argv[0] == "/usr/lib/trustedpods/bin/kube"
    assert units["k1/containerd"].argv[0] == "/usr/lib/trustedpods/bin/containerd"
    assert '"/usr/lib/trustedpods/bin/containerd-shim-runc-v2"' in cluster_files.containerd_toml(
        one_cluster()
    )
    assert '"/usr/lib/trustedpods/bin/runc"' in cluster_files.containerd_toml(one_cluster())
    assert units["k1/provider"].argv[0] == "/usr/lib/trustedpods/bin/trustedpods-provider"


def test_api_server_etcd_kubelet_and_registry_listen_on_the_loopback(units):
    api = units["k1/apiserver"].argv
    assert "--bind-address=127.0.0.1" in api
    assert "--anonymous-auth=false" in api
    assert "--kubelet-preferred-address-types=Hostname" in api
    assert "--endpoint-reconciler-type=none" in api
    etcd = " ".join(units["k1/etcd"].argv)
    assert set(re.findall(r"http://([^:]+):", etcd)) == {"127.0.0.1"}
    kubelet = json.loads(cluster_files.kubelet_json(one_cluster(), "/tp-guest/k1"))
    assert kubelet["address"] == "127.0.0.1"
    assert kubelet["authentication"]["anonymous"]["enabled"] is False
    assert one_cluster().registry == "127.0.0.1:5000"
    assert one_cluster().api_server == "https://127.0.0.1:6443"


def test_no_admission_webhook_and_no_other_api_server_is_asked_for(units):
    api = " ".join(units["k1/apiserver"].argv)
    assert "--enable-admission-plugins=NodeRestriction " in api + " "
    assert "--proxy-client" not in api
    assert "bootstrap" not in " ".join([api, *units["k1/controllers"].argv])


def test_containerd_is_given_a_network_by_a_name_of_its_own():
    network = json.loads(cluster_files.cni_conflist(one_cluster()))
    assert network["name"] == "tp-guest-k1"
