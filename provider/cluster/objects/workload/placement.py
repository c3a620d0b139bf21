# SPDX-License-Identifier: Apache-2.0
"""Where replicas run: the fields of the pod template that the scheduler reads. Pure.

Wherever Kubernetes asks which pods count, the pod's own replicas do, and no others.
"""

from collections.abc import Mapping
from typing import Any

from trustedpods.manifests.spec.placement.affinity import Affinity
from trustedpods.manifests.spec.placement.toleration import Toleration, TopologySpread
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.capability_gaps import HOSTNAME
from trustedpods.provider.cluster.objects.names import KubeObject

VERSION_LABEL = "pod-template-hash"
"""Kubernetes' label on replicas of one version of a pod, where it is no set with names."""

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def placement(manifest: PodManifest, labels: Mapping[str, str]) -> KubeObject:
    """Fields of a PodSpec; *labels* are those by which the pod's replicas are known."""
    spec = manifest.spec
    made: dict[str, Any] = {}
    if spec.node_selector:
        made["nodeSelector"] = dict(spec.node_selector)
    if spec.affinity is not None and (rules := _affinity(spec.affinity, manifest, labels)):
        made["affinity"] = rules
    if spec.tolerations:
        made["tolerations"] = [_toleration(one) for one in spec.tolerations]
    if spec.topology_spread_constraints:
        made["topologySpreadConstraints"] = [_spread(one, labels) for one in spec.topology_spread_constraints]
    elif spec.fixed and spec.scale.max > 1:
        made["topologySpreadConstraints"] = [_spread(_OVER_NODES, labels)]
    return made


_OVER_NODES = TopologySpread(topology_key=HOSTNAME, when_unsatisfiable="ScheduleAnyway")
"""Unless the manifest says otherwise: over as many nodes as there are; on one node all of them still run."""


def _spread(constraint: TopologySpread, labels: Mapping[str, str]) -> KubeObject:
    made: dict[str, Any] = {
        "maxSkew": constraint.max_skew,
        "topologyKey": constraint.topology_key,
        "whenUnsatisfiable": constraint.when_unsatisfiable,
        "labelSelector": {"matchLabels": dict(labels)},
    }
    return made if constraint.min_domains is None else {**made, "minDomains": constraint.min_domains}


def _affinity(affinity: Affinity, manifest: PodManifest, labels: Mapping[str, str]) -> KubeObject:
    made: dict[str, Any] = {}
    if affinity.node_affinity is not None:
        required = affinity.node_affinity.required_during_scheduling_ignored_during_execution
        terms = [
            {
                "matchExpressions": [
                    _expression(one.key, one.operator, one.values) for one in term.match_expressions
                ]
            }
            for term in required.node_selector_terms
        ]
        made["nodeAffinity"] = {_REQUIRED: {"nodeSelectorTerms": terms}}
    if affinity.pod_anti_affinity is not None:
        apart = affinity.pod_anti_affinity.required_during_scheduling_ignored_during_execution
        made["podAntiAffinity"] = {_REQUIRED: [_apart(one.topology_key, manifest, labels) for one in apart]}
    return made


def _apart(key: str, manifest: PodManifest, labels: Mapping[str, str]) -> KubeObject:
    """Replicas of one version: where all nodes are taken, the next version could start on none of them."""
    made: dict[str, Any] = {"topologyKey": key, "labelSelector": {"matchLabels": dict(labels)}}
    return made if manifest.spec.workload == "stateful" else {**made, "matchLabelKeys": [VERSION_LABEL]}


def _expression(key: str, operator: str, values: list[str]) -> KubeObject:
    made: dict[str, Any] = {"key": key, "operator": operator}
    return {**made, "values": list(values)} if values else made


def _toleration(toleration: Toleration) -> KubeObject:
    made: dict[str, Any] = {"key": toleration.key, "operator": toleration.operator}
    if toleration.operator == "Equal":
        made["value"] = toleration.value
    return made if toleration.effect is None else {**made, "effect": toleration.effect}
