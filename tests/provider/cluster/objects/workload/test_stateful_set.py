# SPDX-License-Identifier: Apache-2.0
"""A pod whose replicas have a name and volumes of their own."""

from dataclasses import replace

import pytest

from tests.fakes.provider.pods import a_life, a_manifest
from trustedpods.provider.cluster.objects.pod_objects import claims, objects
from trustedpods.provider.cluster.objects.quota import quota
from trustedpods.provider.core.volumes.growth import StoredVolume

VOLUMES = [{"name": "data", "persistent": {"size": "1Gi"}}, {"name": "tmp", "emptyDir": {}}]
MOUNTED = [
    {
        "name": "c",
        "image": "oci-archive:x.tar",
        "ports": [{"containerPort": 8080}],
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
]


def stateful(**spec):
    return a_manifest(
        **{"workload": "stateful", "replicas": 3, "volumes": VOLUMES, "containers": MOUNTED, **spec}
    )


def made(manifest):
    return {(one["kind"], one["metadata"]["name"]): one for one in objects(a_life(manifest))}


def test_each_replica_has_a_claim_which_nothing_but_its_end_takes_away():
    found = made(stateful())
    spec = found["StatefulSet", "pod"]["spec"]
    [template] = spec["volumeClaimTemplates"]
    assert template["metadata"]["labels"] == spec["selector"]["matchLabels"], "it is found, billed and pruned"
    assert template["spec"]["resources"]["requests"] == {"storage": "1024Mi"}
    assert set(spec["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}
    assert [one["name"] for one in spec["template"]["spec"]["volumes"]] == ["tmp"]
    assert not [kind for kind, _ in found if kind in ("PersistentVolumeClaim", "Deployment")]


def test_claims_that_are_there_are_brought_to_their_size_and_never_below_it():
    stored = {"data-pod-0": StoredVolume(512, 512), "data-pod-1": StoredVolume(4096, 4096)}
    found = objects(replace(a_life(stateful()), volumes=stored))
    asked = {
        one["metadata"]["name"]: one["spec"]["resources"]["requests"]["storage"]
        for one in found
        if one["kind"] == "PersistentVolumeClaim"
    }
    assert asked == {"data-pod-0": "1024Mi", "data-pod-1": "4096Mi"}, "the third is its controller's to make"
    [bound] = [one for one in found if one["kind"] == "ResourceQuota"]
    assert bound["spec"]["hard"]["requests.storage"] == f"{1024 + 4096 + 1024}Mi"


def test_all_claims_are_known_by_name_billed_and_bounded():
    manifest = stateful()
    assert claims(manifest) == [
        ("data-pod-0", 1024),
        ("data-pod-1", 1024),
        ("data-pod-2", 1024),
    ]
    assert manifest.volume_mib == 3 * 1024
    hard = quota(manifest, manifest.volume_mib)["spec"]["hard"]
    assert (hard["requests.storage"], hard["persistentvolumeclaims"]) == ("3072Mi", "3")


def test_the_scaler_owns_the_replicas():
    assert "replicas" not in made(stateful())["StatefulSet", "pod"]["spec"]


@pytest.mark.parametrize(("said", "order"), [(None, "OrderedReady"), ("Parallel", "Parallel")])
def test_the_order_is_what_the_manifest_says(said, order):
    spec = made(stateful(podManagement=said))["StatefulSet", "pod"]["spec"]
    assert spec["podManagementPolicy"] == order


def test_replicas_are_spread_but_never_for_want_of_nodes():
    [spread] = made(stateful())["StatefulSet", "pod"]["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    alone = made(stateful(replicas=1))["StatefulSet", "pod"]["spec"]["template"]["spec"]
    assert "topologySpreadConstraints" not in alone
