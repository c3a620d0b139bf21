# SPDX-License-Identifier: Apache-2.0
"""For any sound manifest: the objects are whole, walled in, and do not tell whose they are."""

import json
import re
from base64 import b64decode
from dataclasses import replace

import pytest
from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import NAME, lives
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.provider.cluster.objects import quantities
from trustedpods.provider.cluster.objects.builder import PodLife, objects
from trustedpods.provider.cluster.objects.names import METERED, POD_LABEL

DNS_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")


def by_kind(life: PodLife, kind: str) -> list[dict]:
    return [made for made in objects(life) if made["kind"] == kind]


def deployment(life: PodLife) -> dict:
    (found,) = by_kind(life, "Deployment")
    return found


@given(lives())
def test_every_object_has_its_place(life):
    made = objects(life)
    assert made[0]["kind"] == "Namespace"
    assert made[-1]["kind"] == "Deployment"
    assert len({(each["kind"], each["metadata"]["name"]) for each in made}) == len(made)
    for each in made:
        assert each["apiVersion"]
        assert DNS_NAME.match(each["metadata"]["name"])
        assert each["metadata"]["labels"][POD_LABEL] == life.label
        assert each["metadata"].get("namespace", life.namespace) == life.namespace
    assert NAME not in json.dumps(made)


@given(lives())
def test_applying_twice_changes_nothing(life):
    assert objects(life) == objects(life)


@given(lives())
def test_the_scaler_owns_the_replicas(life):
    assert "replicas" not in deployment(life)["spec"]


def test_init_containers_run_first_and_count_in_the_quota():
    limits = {"limits": {"cpu": "1", "memory": "1Gi"}}
    first = [{"name": "first", "image": "oci-archive:x.tar", "resources": limits}]
    life = a_life(a_manifest(initContainers=first))
    spec = deployment(life)["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["first"]
    assert spec["initContainers"][0]["securityContext"] == spec["containers"][0]["securityContext"]
    (quota,) = by_kind(life, "ResourceQuota")
    assert quantities.milli(quota["spec"]["hard"]["requests.cpu"]) == 1000 * int(
        quota["spec"]["hard"]["pods"]
    )
    with pytest.raises(LocalProtocolError):
        objects(replace(life, images={"c": life.images["c"]}))


@given(lives())
def test_pods_are_restricted_and_metered(life):
    template = deployment(life)["spec"]["template"]
    spec = template["spec"]
    assert template["metadata"]["finalizers"] == [METERED]
    assert template["metadata"]["labels"] == deployment(life)["spec"]["selector"]["matchLabels"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] <= 60
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
        assert "@sha256:" in container["image"]
        assert not [key for key in container if key.endswith("Probe")]


@given(lives())
def test_what_is_mounted_exists(life):
    spec = deployment(life)["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    for container in spec["containers"]:
        for mount in container.get("volumeMounts", []):
            assert mount["name"] in volumes
    secrets = {made["metadata"]["name"] for made in by_kind(life, "Secret")}
    claims = {made["metadata"]["name"] for made in by_kind(life, "PersistentVolumeClaim")}
    assert secrets == {volume["secret"]["secretName"] for volume in volumes.values() if "secret" in volume}
    sources = [
        volume["persistentVolumeClaim"] for volume in volumes.values() if "persistentVolumeClaim" in volume
    ]
    assert claims == {source["claimName"] for source in sources}


@given(lives())
def test_secrets_arrive_whole(life):
    for made in by_kind(life, "Secret"):
        files = {name: b64decode(data) for name, data in made["data"].items()}
        assert files == life.secrets[made["metadata"]["name"]]


@given(lives())
def test_the_quota_holds_the_surge_and_every_successor(life):
    (quota,) = by_kind(life, "ResourceQuota")
    hard, size, most = quota["spec"]["hard"], life.manifest.replica_size, life.manifest.spec.scale.max
    for side in ("requests", "limits"):
        assert quantities.milli(hard[f"{side}.cpu"]) >= (most + 1) * size.cpu_milli
        assert quantities.mebibytes(hard[f"{side}.memory"]) >= (most + 1) * size.memory_mib
    assert int(hard["pods"]) > most
    assert quantities.mebibytes(hard["requests.storage"]) == life.manifest.volume_mib


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
    container = {"name": "c", "image": "x", "readinessProbe": {"tcpSocket": {"port": 9000}}}
    facade = by_kind(a_life(a_manifest(containers=[container])), "NetworkPolicy")[1]
    assert [port["port"] for port in facade["spec"]["ingress"][0]["ports"]] == [8080, 9000]


def test_two_versions_never_write_one_volume():
    volumes = [{"name": "data", "persistent": {"size": "1Gi", "storageClassName": "fast"}}]
    life = a_life(a_manifest(volumes=volumes))
    assert deployment(life)["spec"]["strategy"] == {"type": "Recreate"}
    assert by_kind(life, "PersistentVolumeClaim")[0]["spec"]["storageClassName"] == "fast"
    assert deployment(a_life())["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": {}}, "no image for container c"),
        ({"images": {"c": "127.0.0.1:5000/x:latest"}}, "not named by digest"),
        ({"secrets": {}}, "no files for secret volume s"),
    ],
)
def test_an_incomplete_life_is_a_bug_here(change, words):
    volumes = [{"name": "s", "secret": {"files": {"k": "k"}}}]
    life = a_life(a_manifest(volumes=volumes), secrets={"s": {"k": b""}})
    with pytest.raises(LocalProtocolError, match=words):
        objects(replace(life, **change))
