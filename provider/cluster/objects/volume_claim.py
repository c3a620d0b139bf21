# SPDX-License-Identifier: Apache-2.0
"""The PersistentVolumeClaim of each persistent volume of a pod. Pure."""

from typing import Any

from trustedpods.provider.cluster.objects.names import KubeObject


def volume_claim(name: str, mib: int, storage_class: str | None) -> KubeObject:
    """A claim of *mib* MiB under the volume's name; without a class the cluster's default one serves it."""
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{mib}Mi"}},
    }
    if storage_class is not None:
        spec["storageClassName"] = storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
