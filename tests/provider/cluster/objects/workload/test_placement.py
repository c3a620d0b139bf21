# SPDX-License-Identifier: Apache-2.0
"""Where replicas run, as the scheduler is told it."""

from tests.fakes.provider.pods import a_manifest
from trustedpods.provider.cluster.objects.workload.placement import placement

LABELS = {"trustedpods.dev/pod": "abc"}
SELECTOR = {"matchLabels": LABELS}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def test_a_pod_that_says_nothing_says_nothing():
    assert placement(a_manifest(), LABELS) == {}


def test_fixed_replicas_spread_over_nodes_unless_the_manifest_says_how():
    (made,) = placement(a_manifest(workload="replicated", replicas=2), LABELS)["topologySpreadConstraints"]
    assert made == {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": SELECTOR,
    }
    own = {"topologyKey": "zone", "maxSkew": 2, "minDomains": 2}
    manifest = a_manifest(workload="replicated", replicas=2, topologySpreadConstraints=[own])
    (made,) = placement(manifest, LABELS)["topologySpreadConstraints"]
    assert made == {**own, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}


def test_all_words_reach_the_scheduler():
    term = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
    exists = {"matchExpressions": [{"key": "a", "operator": "Exists"}]}
    manifest = a_manifest(
        nodeSelector={"disk": "ssd"},
        affinity={"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term, exists]}}},
        tolerations=[{"key": "t", "value": "v", "effect": "NoExecute"}, {"key": "u", "operator": "Exists"}],
    )
    assert placement(manifest, LABELS) == {
        "nodeSelector": {"disk": "ssd"},
        "affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term, exists]}}},
        "tolerations": [
            {"key": "t", "operator": "Equal", "value": "v", "effect": "NoExecute"},
            {"key": "u", "operator": "Exists"},
        ],
    }


def test_only_replicas_of_one_version_keep_apart():
    """Else a new version could start on no node while the old one is on all of them."""
    affinity = {"podAntiAffinity": {REQUIRED: [{"topologyKey": "zone"}]}}
    for workload, keys in (("replicated", {"matchLabelKeys": ["pod-template-hash"]}), ("stateful", {})):
        manifest = a_manifest(workload=workload, replicas=1, affinity=affinity)
        (apart,) = placement(manifest, LABELS)["affinity"]["podAntiAffinity"][REQUIRED]
        assert apart == {"topologyKey": "zone", "labelSelector": SELECTOR, **keys}
