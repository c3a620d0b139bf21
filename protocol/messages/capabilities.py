# SPDX-License-Identifier: Apache-2.0
"""What a provider's cluster offers beside room for containers, and where of it a pod wants to run."""

from typing import Annotated, Literal

from pydantic import Field

from trustedpods.protocol.messages.base import U64, Message

LabelName = Annotated[str, Field(min_length=1, max_length=317)]
"""A prefix of 253 characters, `/`, and a name of 63: Kubernetes' own bounds of a label's key."""

LabelText = Annotated[str, Field(max_length=63)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
"""Of a class or a driver: a DNS subdomain."""

MAX_LABELS = 16
"""Label keys that a provider advertises, and that a pod names: a page that a person reads."""

MAX_LABEL_VALUES = 16
"""Values listed for one label. One with more, as the nodes' names, is listed without values."""

MAX_ANNOTATIONS = 16
"""Of one ingress, and of those that a provider takes for a class: a page that a person reads."""

AnnotationKey = Annotated[str, Field(min_length=1, max_length=317)]
"""Bounded as a label's key."""

AccessMode = Literal["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]


class StorageClass(Message):
    """A class that volumes may name: whether they can grow, and how many nodes may mount one at once."""

    name: ObjectName
    grows: bool
    access_modes: Annotated[list[AccessMode], Field(max_length=4)]


class IngressClass(Message):
    """A class whose controller serves hosts of pods, and the annotations that it may be told, by name."""

    name: ObjectName
    annotations: Annotated[list[AnnotationKey], Field(max_length=MAX_ANNOTATIONS)]


class NodeSize(Message):
    """What a node gives to pods in all, whether it is free now or not."""

    cpu_milli: U64
    memory_mib: U64
    storage_mib: U64


class Capabilities(Message):
    """What a manifest may ask for at this provider.

    With `default_class` there is a storage class for volumes that name none, with `smtp` pods may send mail,
    with `user_namespaces` every pod has user ids that are no other's outside of it.
    `node_labels` has the values of each label that the operator advertises; no values: there are too many to
    list. `largest_node` bounds each single replica; what is free of it is said when a pod asks to come.
    """

    storage_classes: Annotated[list[StorageClass], Field(max_length=16)]
    default_class: bool
    ingress_classes: Annotated[list[IngressClass], Field(max_length=16)]
    csi_drivers: Annotated[list[ObjectName], Field(max_length=16)]
    udp: bool
    node_port: bool
    load_balancer: bool
    names: bool
    smtp: bool
    own_sleep: bool
    user_namespaces: bool
    node_labels: Annotated[
        dict[LabelName, Annotated[list[LabelText], Field(max_length=MAX_LABEL_VALUES)]],
        Field(max_length=MAX_LABELS),
    ]
    largest_node: NodeSize


LabelOperator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


class LabelRule(Message):
    """What a node's label must be, in the words of Kubernetes' `matchExpressions`."""

    key: LabelName
    operator: LabelOperator
    values: Annotated[list[LabelText], Field(max_length=32)]


class Tolerated(Message):
    """A taint that does not keep the pod away; no effect stands for all of them."""

    key: LabelName
    operator: Literal["Exists", "Equal"]
    value: LabelText
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None


class Placement(Message):
    """Where replicas want to run: on nodes that have every label of `selector`, and all of one of `terms`.

    `apart` are the labels by which no two replicas may have the same value, `spread` those over whose values
    they are spread.
    """

    selector: Annotated[dict[LabelName, LabelText], Field(max_length=MAX_LABELS)] = {}  # noqa: RUF012
    terms: Annotated[
        list[Annotated[list[LabelRule], Field(min_length=1, max_length=MAX_LABELS)]], Field(max_length=8)
    ] = []  # noqa: RUF012 - pydantic gives each its own
    tolerated: Annotated[list[Tolerated], Field(max_length=MAX_LABELS)] = []  # noqa: RUF012
    apart: Annotated[list[LabelName], Field(max_length=4)] = []  # noqa: RUF012
    spread: Annotated[list[LabelName], Field(max_length=4)] = []  # noqa: RUF012
