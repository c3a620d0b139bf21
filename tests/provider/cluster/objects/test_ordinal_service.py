# SPDX-License-Identifier: Apache-2.0
"""The addresses of replicas that have a name."""

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.objects.workload.test_stateful_set import stateful
from trustedpods.provider.cluster.objects.ordinal_service import ordinal_services
from trustedpods.provider.cluster.objects.pod_objects import objects
from trustedpods.provider.cluster.objects.quota import quota


def test_one_without_an_address_for_all_and_one_for_each():
    made = {one["metadata"]["name"]: one["spec"] for one in ordinal_services(stateful(), "ptest")}
    assert sorted(made) == ["pod", "pod-0", "pod-1", "pod-2"]
    assert made["pod"]["clusterIP"] == "None"
    assert made["pod-1"]["selector"]["statefulset.kubernetes.io/pod-name"] == "pod-1"
    assert "clusterIP" not in made["pod-1"], "the cluster gives it once, and it stays"
    assert all(spec["publishNotReadyAddresses"] for spec in made.values())
    assert [port["port"] for port in made["pod-1"]["ports"]] == [8080]


def test_no_other_kind_has_any_and_the_quota_has_room_for_just_those():
    assert ordinal_services(a_manifest(workload="replicated", replicas=2), "ptest") == []
    assert quota(a_manifest(), 0)["spec"]["hard"]["services"] == "1", "that of its manifest"
    assert quota(stateful(), 0)["spec"]["hard"]["services"] == "5"


def test_a_set_that_listens_nowhere_has_the_one_that_its_controller_demands():
    manifest = stateful(containers=[{"name": "c", "image": "oci-archive:x.tar"}], services=[])
    made = [one for one in objects(a_life(manifest)) if one["kind"] == "Service"]
    assert [one["metadata"]["name"] for one in made] == ["pod"]
    assert "ports" not in made[0]["spec"]


def test_a_port_of_datagrams_stays_one():
    udp = [{"name": "dns", "ports": [{"port": 53, "protocol": "UDP"}]}]
    bare = [{"name": "c", "image": "oci-archive:x.tar"}]
    made = ordinal_services(stateful(containers=bare, services=udp, volumes=[]), "ptest")
    assert {(port["port"], port["protocol"]) for port in made[1]["spec"]["ports"]} == {(53, "UDP")}
