# SPDX-License-Identifier: Apache-2.0
"""The StatefulSet that runs replicas of a pod which have a name and volumes of their own. Pure.

The scaler owns `spec.replicas`, so it is left out. Claims outlive the set and its replicas: they end with the
pod's namespace, or when the pod has no such volume any more.
"""

from collections.abc import Mapping

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import Persistent
from trustedpods.provider.cluster.objects.names import POD_LABEL, WORKLOAD, KubeObject
from trustedpods.provider.cluster.objects.volume_claim import volume_claim

KIND = "StatefulSet"

ORDINAL_LABEL = "statefulset.kubernetes.io/pod-name"
"""Kubernetes' label on each replica: the replica's name."""


def stateful_set(manifest: PodManifest, template: KubeObject) -> KubeObject:
    """The StatefulSet whose replicas are made from *template*. It says nothing of their number."""
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": "apps/v1",
        "kind": KIND,
        "metadata": {"name": WORKLOAD},
        "spec": {
            "serviceName": WORKLOAD,
            "podManagementPolicy": manifest.spec.pod_management or "OrderedReady",
            "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": labels},
            "template": template,
            "volumeClaimTemplates": [
                _claim(volume.name, volume.persistent, labels[POD_LABEL])
                for volume in manifest.spec.volumes
                if volume.persistent
            ],
        },
    }


def replica_name(ordinal: int) -> str:
    """The name of a replica, which it keeps."""
    return f"{WORKLOAD}-{ordinal}"


def claim_name(volume: str, ordinal: int) -> str:
    """How the set's controller names a replica's claim: VOLUME-REPLICA."""
    return f"{volume}-{replica_name(ordinal)}"


def claims(volumes: Mapping[str, Persistent], replicas: int) -> list[tuple[str, int]]:
    """The claims of all replicas, with their MiB."""
    return [
        (claim_name(name, ordinal), volume.size)
        for name, volume in volumes.items()
        for ordinal in range(replicas)
    ]


def _claim(name: str, volume: Persistent, label: str) -> KubeObject:
    made = volume_claim(name, volume.size, volume)
    return {**made, "metadata": {"name": name, "labels": {POD_LABEL: label}}}
