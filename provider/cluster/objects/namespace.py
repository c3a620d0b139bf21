# SPDX-License-Identifier: Apache-2.0
"""The Namespace of one life of a pod. Pure."""

from collections.abc import Mapping

from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject


def namespace(name: str, label: str, marks: Mapping[str, str]) -> KubeObject:
    """The namespace of one life of a pod; Kubernetes refuses in it what is not `restricted`.

    *marks* are labels by which policies of the publisher's other pods know it.
    """
    labels = {
        **marks,
        POD_LABEL: label,
        "app.kubernetes.io/managed-by": "trustedpods",
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
