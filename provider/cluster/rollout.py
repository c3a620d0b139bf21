# SPDX-License-Identifier: Apache-2.0
"""Whether the cluster's controllers have seen what was asked of a workload. Pure.

A workload's controller hands the number of replicas to a replica set, whose controller makes and
ends pods. Each notes the newest `metadata.generation` that it acted on as `status.observedGeneration`,
after the pods that it ended for it; what it saw once it never sees older again. Both wait for up to
30 s before they look again at an API server that was away.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from trustedpods.provider.cluster.objects.names import KubeObject


@dataclass(frozen=True, slots=True)
class Rollout:
    """How many replicas a pod's workload asks for, and whether all controllers act on just that."""

    replicas: int
    settled: bool


def observed(controlled: KubeObject) -> bool:
    """Whether its controller has acted on the object as it is now."""
    seen = controlled.get("status", {}).get("observedGeneration", 0)
    return bool(seen >= controlled["metadata"]["generation"])


def asked_for(controlled: KubeObject) -> int:
    """Its `spec.replicas`; Kubernetes' default is 1."""
    return int(controlled["spec"].get("replicas", 1))


def rollout(workload: KubeObject, replica_sets: Iterable[KubeObject]) -> Rollout:
    """State of a workload with its replica sets, which must have been read after it."""
    made = list(replica_sets)
    wanted = asked_for(workload)
    handed_on = sum(map(asked_for, made)) == wanted
    return Rollout(wanted, observed(workload) and handed_on and all(map(observed, made)))
