# SPDX-License-Identifier: Apache-2.0
"""Known words of what says where replicas run: Kubernetes' Affinity, Toleration, TopologySpreadConstraint."""

from trustedpods.manifests.spec.placement.affinity import (
    Affinity,
    AntiAffinityTerm,
    MatchExpression,
    NodeAffinity,
    NodeSelectorTerm,
    NodeSelectorTerms,
    PodAntiAffinity,
)
from trustedpods.manifests.spec.placement.toleration import Toleration, TopologySpread
from trustedpods.manifests.words.word import Place, Word

_PREFERRED = Word(
    "leave it out: a wish cannot be checked before payment; write "
    "`requiredDuringSchedulingIgnoredDuringExecution`"
)
_OWN_REPLICAS = Word("leave it out: only the replicas of this pod count, and all of them")
_COUNTED = Word("leave it out: Kubernetes' own way of counting nodes holds")

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"

TOLERATION = Place(
    "tolerations",
    Toleration,
    {"tolerationSeconds": Word("leave it out: a replica stays on a node that gets such a taint")},
)

SPREAD = Place(
    "topologySpreadConstraints",
    TopologySpread,
    {
        "labelSelector": _OWN_REPLICAS,
        "matchLabelKeys": _OWN_REPLICAS,
        "nodeAffinityPolicy": Word(_COUNTED.advice, same=("Honor",)),
        "nodeTaintsPolicy": Word(_COUNTED.advice, same=("Ignore",)),
    },
)

_EXPRESSION = Place("matchExpressions", MatchExpression, {})
_TERMS = Place(
    "the nodes that are required",
    NodeSelectorTerms,
    {},
    {
        "nodeSelectorTerms": Place(
            "nodeSelectorTerms",
            NodeSelectorTerm,
            {
                "matchFields": Word(
                    "leave it out: no pod asks for a node by its name; write `matchExpressions`"
                )
            },
            {"matchExpressions": _EXPRESSION},
        )
    },
)
_APART = Place(
    "replicas that are kept apart",
    AntiAffinityTerm,
    dict.fromkeys(
        ("labelSelector", "namespaceSelector", "namespaces", "matchLabelKeys", "mismatchLabelKeys"),
        _OWN_REPLICAS,
    ),
)

AFFINITY = Place(
    "affinity",
    Affinity,
    {"podAffinity": Word("leave it out: what must run together stands in one pod's `containers`")},
    {
        "nodeAffinity": Place(
            "nodeAffinity",
            NodeAffinity,
            {"preferredDuringSchedulingIgnoredDuringExecution": _PREFERRED},
            {_REQUIRED: _TERMS},
        ),
        "podAntiAffinity": Place(
            "podAntiAffinity",
            PodAntiAffinity,
            {"preferredDuringSchedulingIgnoredDuringExecution": _PREFERRED},
            {_REQUIRED: _APART},
        ),
    },
)
