# SPDX-License-Identifier: Apache-2.0
"""Ingress classes that an operator offers, and what manifests may ask of them."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import IngressAsk
from trustedpods.protocol.messages.capabilities import MAX_ANNOTATIONS
from trustedpods.protocol.messages.provider import TrustClass

_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_QUALIFIED = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"

ClassName = Annotated[str, Field(pattern=_SUBDOMAIN, max_length=253)]
QualifiedName = Annotated[str, Field(pattern=_QUALIFIED, max_length=317)]
PodLabelValue = Annotated[str, Field(pattern=_LABEL_VALUE, max_length=63)]


class ControllerClass(BaseModel):
    """One class: where its controller's pods are, by `namespace` and labels, and what it may be told.

    `annotations` are names that manifests may use. A controller in the network of its node has no pod's
    address: no policy could tell it from the node, and so it cannot be offered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: Annotated[str, Field(pattern=_LABEL)]
    pod_labels: Annotated[dict[QualifiedName, PodLabelValue], Field(min_length=1, max_length=8)]
    annotations: Annotated[list[QualifiedName], Field(max_length=MAX_ANNOTATIONS)] = []


class IngressSection(BaseModel):
    """The classes by name, and how many services all pods may have with `expose: ingress` together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: Annotated[int, Field(ge=0, le=10_000)] = 256
    classes: Annotated[dict[ClassName, ControllerClass], Field(max_length=16)] = {}

    @property
    def room(self) -> int:
        """Services that may be served, those here included."""
        return self.services if self.classes else 0

    def check_class(self, trust: TrustClass) -> None:
        """ValueError where pods of class sealed would share the cluster with a controller of the operator's.

        A controller reads all Secrets, for certificates may stand in any.
        """
        if self.classes and trust == "sealed":
            raise ValueError("an ingress controller reads the Secrets of all pods: class sealed offers none")


def check_ingresses(wanted: Iterable[IngressAsk], offered: Mapping[str, ControllerClass]) -> None:
    """Refused where a service names a class, or an annotation of it, that is not *offered*."""
    for one in wanted:
        if one.class_name not in offered:
            raise Refused(
                f"ingress class {one.class_name} is not offered here; "
                f"there is {', '.join(offered) or 'none'}",
                rule="ingress-class",
                hint="write `expose: http`, which every provider has, or choose another provider",
            )
        taken = offered[one.class_name].annotations
        for name in one.annotations:
            if name not in taken:
                raise Refused(
                    f"annotation {name} is not taken for ingress class {one.class_name}; "
                    f"there is {', '.join(taken) or 'none'}",
                    rule="ingress-annotation",
                    hint="leave it out, or choose another provider",
                )
