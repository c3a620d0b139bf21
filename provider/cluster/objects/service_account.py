# SPDX-License-Identifier: Apache-2.0
"""The ServiceAccount of a pod, which can do nothing. Pure."""

from trustedpods.provider.cluster.objects.names import WORKLOAD, KubeObject


def service_account() -> KubeObject:
    """An account of the pod's own: the namespace's `default` one appears only some time later."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": WORKLOAD},
        "automountServiceAccountToken": False,
    }
