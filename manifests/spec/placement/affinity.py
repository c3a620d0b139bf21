# SPDX-License-Identifier: Apache-2.0
"""`affinity`: which nodes a replica may run on, and which other replicas of the pod it keeps away from."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart
from trustedpods.manifests.spec.placement.labels import LabelKey, LabelValue
from trustedpods.protocol.messages.capabilities import MAX_LABELS, LabelOperator

_WITHOUT_VALUES = {"Exists", "DoesNotExist"}
_NUMBERS = {"Gt", "Lt"}


class MatchExpression(ManifestPart):
    """One condition on a node's label. `Gt` and `Lt` compare whole numbers."""

    key: LabelKey
    operator: LabelOperator
    values: Annotated[list[LabelValue], Field(max_length=32)] = []

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if self.operator in _WITHOUT_VALUES:
            if self.values:
                raise ValueError(f"operator {self.operator} takes no values")
        elif self.operator in _NUMBERS:
            if len(self.values) != 1 or not (self.values[0].isascii() and self.values[0].isdecimal()):
                raise ValueError(f"operator {self.operator} takes one whole number, in quotes")
        elif not self.values:
            raise ValueError(f"operator {self.operator} needs values")
        return self


class NodeSelectorTerm(ManifestPart):
    """Conditions that all hold of one node."""

    match_expressions: Annotated[list[MatchExpression], Field(min_length=1, max_length=MAX_LABELS)]


class NodeSelectorTerms(ManifestPart):
    """Of these terms one holds."""

    node_selector_terms: Annotated[list[NodeSelectorTerm], Field(min_length=1, max_length=8)]


class NodeAffinity(ManifestPart):
    """Nodes that a replica may run on."""

    required_during_scheduling_ignored_during_execution: NodeSelectorTerms


class AntiAffinityTerm(ManifestPart):
    """No two replicas of the pod run on nodes with one value of this label."""

    topology_key: LabelKey


class PodAntiAffinity(ManifestPart):
    """Replicas of this pod keep apart; other pods are nobody's business."""

    required_during_scheduling_ignored_during_execution: Annotated[
        list[AntiAffinityTerm], Field(min_length=1, max_length=4)
    ]


class Affinity(ManifestPart):
    """What must hold of the node that a replica runs on."""

    node_affinity: NodeAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None
