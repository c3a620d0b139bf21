# SPDX-License-Identifier: Apache-2.0
"""The PodDisruptionBudget of a pod with replicas of a fixed number. Pure."""

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import POD_LABEL, WORKLOAD, KubeObject

AT_ONCE = 1
"""Replicas that an operator who empties a node may take away together."""


def disruption_budgets(manifest: PodManifest, label: str) -> list[KubeObject]:
    """One where there are several replicas of a fixed number: whoever empties nodes takes one at a time."""
    if not manifest.spec.fixed or manifest.spec.scale.max == 1:
        return []
    return [
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": WORKLOAD},
            "spec": {"maxUnavailable": AT_ONCE, "selector": {"matchLabels": {POD_LABEL: label}}},
        }
    ]
