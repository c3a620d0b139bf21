# SPDX-License-Identifier: Apache-2.0
"""Names that the provider's objects carry in Kubernetes. None of them tells whose pod it is."""

from collections.abc import Mapping
from typing import Any

KubeObject = Mapping[str, Any]
"""One Kubernetes object, or a part of one, as JSON holds it."""

POD_LABEL = "trustedpods.dev/pod"
"""On every object of a pod; its value is the pod's host label."""

METERED = "trustedpods.dev/metered"
"""Finalizer of every replica: it stays readable until the meter has seen when it ended."""

WORKLOAD = "pod"
"""The one workload of a pod's namespace, and its service account."""

APPLIER = "trustedpods"
"""Field manager of what `pod_objects` lists."""

SCALER = "trustedpods-scaler"
"""Field manager of `spec.replicas` alone, so that applying never changes how many run."""

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
"""Kubernetes' annotation: of two replicas, the one with the lower cost goes first."""

AWAKE_CPU = "trustedpods.dev/awake-cpu"
"""Annotation of a replica that slept warm: thousandths of a core that each container has awake, as JSON."""

PROVEN = "trustedpods.dev/proven"
"""Annotation of a volume claim: the MiB that a version wanted which serves, or served. Its data is kept."""

MADE_HERE = "trustedpods.dev/made-here"
"""Annotation of a Secret with values that were made inside: volumes that outlive their pod may need them.

It says which renewal each value is of, as JSON, where that is not 0."""

MADE_KEYS = "trustedpods.dev/made-keys"
"""Annotation of such a Secret: of which type each key in it is, as JSON. Bytes alone do not say it."""

NODE_LEASES = "kube-node-lease"
"""Where each kubelet says every few seconds that it is there."""

LEASE_NAMESPACE = "kube-system"
"""Where the lease lies by which one daemon per cluster is held."""

NETWORKS_NAMESPACE = "trustedpods-system"
"""Where leases and documents of networks lie: apart from every pod, so that they outlive them."""

NETWORK_LABEL = "trustedpods.dev/network-founder"
"""On each network's Secret and Lease; its value is the founder's address in small letters."""


def of_pod(made: KubeObject, namespace: str, label: str) -> KubeObject:
    """The object in a pod's namespace and under the pod's label, beside labels of its own."""
    labels = {**made["metadata"].get("labels", {}), POD_LABEL: label}
    return {**made, "metadata": {**made["metadata"], "namespace": namespace, "labels": labels}}
