# SPDX-License-Identifier: Apache-2.0
"""`tolerations` and `topologySpreadConstraints`: taints that keep nobody away, and how replicas spread."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart
from trustedpods.manifests.spec.placement.labels import LabelKey, LabelValue


class Toleration(ManifestPart):
    """A taint of nodes that replicas run on all the same; one that tolerates every taint cannot be had."""

    key: LabelKey
    operator: Literal["Equal", "Exists"] = "Equal"
    value: LabelValue = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.operator == "Exists" and self.value:
            raise ValueError("operator Exists takes no value")
        return self


class TopologySpread(ManifestPart):
    """How evenly replicas lie over the values of a label: the most and the least differ by `maxSkew`."""

    topology_key: LabelKey
    max_skew: Annotated[int, Field(ge=1, le=100)] = 1
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "DoNotSchedule"
    min_domains: Annotated[int, Field(ge=1, le=100)] | None = None

    @model_validator(mode="after")
    def _domains_are_demanded(self) -> Self:
        if self.min_domains is not None and self.when_unsatisfiable != "DoNotSchedule":
            raise ValueError("minDomains needs whenUnsatisfiable: DoNotSchedule")
        return self
