# SPDX-License-Identifier: Apache-2.0
"""What every replica may do, and what it may not."""

from dataclasses import replace

from hypothesis import given

from tests.fakes.provider.pods import a_life, a_manifest
from tests.provider.cluster.strategies import a_life_with_an_init_container, lives, the_deployment
from trustedpods.provider.cluster.objects.names import METERED
from trustedpods.provider.cluster.objects.workload.container_template import CLUSTER_VARIABLES


@given(lives())
def test_pods_are_restricted_and_metered(life):
    template = the_deployment(life)["spec"]["template"]
    spec = template["spec"]
    assert template["metadata"]["finalizers"] == [METERED]
    assert template["metadata"]["labels"] == the_deployment(life)["spec"]["selector"]["matchLabels"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["terminationGracePeriodSeconds"] == life.manifest.spec.termination_grace_period_seconds
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    for container in spec["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
        assert "@sha256:" in container["image"]
        assert "readinessProbe" not in container, "the facade runs it, and sooner"


def test_init_containers_run_first():
    spec = the_deployment(a_life_with_an_init_container())["spec"]["template"]["spec"]
    assert [one["name"] for one in spec["initContainers"]] == ["first"]
    assert spec["initContainers"][0]["securityContext"] == spec["containers"][0]["securityContext"]


def spec_of(life):
    return the_deployment(life)["spec"]["template"]["spec"]


@given(lives())
def test_any_user_may_listen_on_any_port(life):
    (sysctl,) = spec_of(life)["securityContext"]["sysctls"]
    assert sysctl == {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}


@given(lives())
def test_names_are_asked_of_the_pod_itself_and_siblings_have_theirs(life):
    spec = spec_of(life)
    assert spec["dnsPolicy"] == "None"
    assert spec["dnsConfig"]["nameservers"] == ["127.0.0.1"]
    assert "searches" not in spec["dnsConfig"]
    names = [container["name"] for container in spec["containers"]]
    assert spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": names}]


@given(lives())
def test_no_container_reads_anything_of_the_cluster(life):
    spec = spec_of(life)
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        values = {variable["name"]: variable.get("value") for variable in container["env"]}
        assert len(values) == len(container["env"])
        assert {values[name] for name in CLUSTER_VARIABLES} == {""}


def test_a_variable_of_the_publisher_s_keeps_its_value():
    own = {"name": "KUBERNETES_SERVICE_HOST", "value": "mine"}
    life = a_life(a_manifest(containers=[{"name": "c", "image": "x", "env": [own]}]))
    env = spec_of(life)["containers"][0]["env"]
    assert env[-1] == own
    assert len(env) == len(CLUSTER_VARIABLES)


def test_a_replica_is_told_its_own_fields_and_whole_secrets():
    name = {"name": "REPLICA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    sources = [{"secretRef": {"name": "keys"}, "prefix": "K_"}, {"secretRef": {"name": "keys"}}]
    one = {"name": "c", "image": "x", "env": [name], "envFrom": sources}
    volumes = [{"name": "keys", "secret": {"files": {"token": "t"}}}]
    life = a_life(a_manifest(containers=[one], volumes=volumes), secrets={"keys": {"token": b"t"}})
    [made] = spec_of(life)["containers"]
    field = {"apiVersion": "v1", "fieldPath": "metadata.name"}
    assert made["env"][-1] == {"name": "REPLICA", "valueFrom": {"fieldRef": field}}
    assert made["envFrom"] == sources


def test_a_user_of_the_manifest_s_takes_the_place_of_the_image_s():
    ids = {"runAsUser": 10001, "runAsGroup": 10002}
    one = {"name": "c", "image": "x", "securityContext": ids}
    context = spec_of(a_life(a_manifest(containers=[one])))["containers"][0]["securityContext"]
    assert context["runAsNonRoot"] is True
    assert {name: context[name] for name in ids} == ids


def test_a_sidecar_starts_first_and_goes_on():
    """It is found by its name and probed, as the pod's own containers are."""
    first = [
        {"name": "migrate", "image": "oci-archive:x.tar"},
        {
            "name": "proxy",
            "image": "oci-archive:x.tar",
            "restartPolicy": "Always",
            "startupProbe": {"tcpSocket": {"port": 9000}},
        },
    ]
    spec = spec_of(a_life(a_manifest(initContainers=first)))
    migrate, proxy = spec["initContainers"]
    assert "restartPolicy" not in migrate
    assert proxy["restartPolicy"] == "Always"
    assert proxy["startupProbe"]["tcpSocket"] == {"port": 9000}
    assert spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["proxy", "c"]}]


def test_further_names_stand_beside_the_containers_own():
    """Each address once: the API server merges by it."""
    aliases = [
        {"ip": "127.0.0.1", "hostnames": ["redis"]},
        {"ip": "203.0.113.3", "hostnames": ["db", "db.example.org"]},
        {"ip": "203.0.113.3", "hostnames": ["db"]},
    ]
    assert spec_of(a_life(a_manifest(hostAliases=aliases)))["hostAliases"] == [
        {"ip": "127.0.0.1", "hostnames": ["c", "redis"]},
        {"ip": "203.0.113.3", "hostnames": ["db", "db.example.org"]},
    ]


def test_a_variable_may_refer_to_what_the_pod_is_told():
    part = {"name": "c", "image": "oci-archive:x.tar", "env": [{"name": "A", "value": "$(TRUSTEDPODS_POD)"}]}
    life = replace(a_life(a_manifest(containers=[part])), told={"TRUSTEDPODS_POD": "web"})
    names = [variable["name"] for variable in spec_of(life)["containers"][0]["env"]]
    assert names.index("TRUSTEDPODS_POD") < names.index("A")


def test_pods_have_user_ids_of_their_own_where_that_is_chosen_or_they_asked_for_it():
    asks = a_manifest(hostUsers=False)
    for chosen in (False, True):
        for manifest in (a_manifest(), asks):
            spec = spec_of(replace(a_life(manifest), user_namespaces=chosen))
            own = chosen or manifest is asks
            assert spec.get("hostUsers") is (False if own else None)
