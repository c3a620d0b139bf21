# SPDX-License-Identifier: Apache-2.0
"""The PersistentVolumeClaim of each persistent volume of a pod. Pure."""

from typing import Any

from trustedpods.manifests.spec.volume import Persistent
from trustedpods.provider.cluster.objects.names import KubeObject


def volume_claim(name: str, mib: int, volume: Persistent) -> KubeObject:
    """A claim of *mib* MiB, else as the *volume* says; without a class it is the cluster's default one."""
    spec: dict[str, Any] = {
        "accessModes": [volume.access_mode],
        "resources": {"requests": {"storage": f"{mib}Mi"}},
    }
    if volume.storage_class_name is not None:
        spec["storageClassName"] = volume.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
