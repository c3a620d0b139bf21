# SPDX-License-Identifier: Apache-2.0
"""What a manifest's words on nodes come to, in the words of the protocol."""

from collections.abc import Mapping, Sequence

from trustedpods.manifests.spec.placement.affinity import Affinity
from trustedpods.manifests.spec.placement.toleration import Toleration, TopologySpread
from trustedpods.protocol.messages.capabilities import LabelRule, Placement, Tolerated


def placement(
    selector: Mapping[str, str],
    affinity: Affinity | None,
    tolerations: Sequence[Toleration],
    spread: Sequence[TopologySpread],
) -> Placement:
    """The fields of a PodSpec, as a provider is asked for them before anything is paid."""
    nodes = None if affinity is None else affinity.node_affinity
    apart = None if affinity is None else affinity.pod_anti_affinity
    required = nodes and nodes.required_during_scheduling_ignored_during_execution
    return Placement(
        selector=dict(selector),
        terms=[
            [
                LabelRule(key=one.key, operator=one.operator, values=one.values)
                for one in term.match_expressions
            ]
            for term in (required.node_selector_terms if required else [])
        ],
        tolerated=[
            Tolerated(key=one.key, operator=one.operator, value=one.value, effect=one.effect)
            for one in tolerations
        ],
        apart=[
            term.topology_key
            for term in (apart.required_during_scheduling_ignored_during_execution if apart else [])
        ],
        spread=[one.topology_key for one in spread],
    )
