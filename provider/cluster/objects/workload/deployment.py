# SPDX-License-Identifier: Apache-2.0
"""The Deployment that runs a pod's replicas. Pure.

The scaler owns `spec.replicas`, so it is left out.
"""

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import WORKLOAD, KubeObject

KIND = "Deployment"

SURGE = 1
"""Replicas above the maximum while a new version takes over."""


def deployment(manifest: PodManifest, template: KubeObject) -> KubeObject:
    """The Deployment whose replicas are made from *template*. It says nothing of their number."""
    return {
        "apiVersion": "apps/v1",
        "kind": KIND,
        "metadata": {"name": WORKLOAD},
        "spec": {
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": template["metadata"]["labels"]},
            "strategy": _strategy(manifest),
            "template": template,
        },
    }


def _strategy(manifest: PodManifest) -> KubeObject:
    """A new version starts before the old one ends, unless both would write the same volume."""
    if manifest.volume_mib or manifest.spec.strategy == "Recreate":
        return {"type": "Recreate"}
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": SURGE, "maxUnavailable": 0}}
