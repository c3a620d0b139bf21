# SPDX-License-Identifier: Apache-2.0
"""Answers of the verbs on providers and prices."""

from typing import NotRequired, TypedDict

from trustedpods.protocol.messages.capabilities import AccessMode
from trustedpods.publisher.output.answers.parts import ClassPart, ErrorJson, VerdictJson
from trustedpods.publisher.output.answers.words import Mib, Milli, ProviderName, Seconds, Tokens, UnixTime


class ProofPart(TypedDict, total=False):
    """With `--attest`: what its evidence showed, or the `error` instead of a `verdict`."""

    evidence: str
    error: ErrorJson
    evidence_digest: str
    verdict: VerdictJson
    answered_ms: int
    unfit: str
    awake_hour: Tokens
    asleep_hour: Tokens


class ListedProviderJson(ClassPart, ProofPart):
    """A row of the registry: a claim, not a proof; `unfit` says why the pod of `--for` cannot run there."""

    name: ProviderName
    owner: str
    daemon: int
    region: str
    tee: list[str]
    endpoint: str
    updated_at: UnixTime
    core_hour: Tokens
    gib_hour: Tokens
    stored_gib_month: Tokens
    egress_gib: Tokens
    ingress_gib: Tokens
    least_deposit: Tokens
    unlock_s: Seconds
    idle_mib: Mib


class ProvidersJson(TypedDict):
    """Rows in the order that was asked for; `pod` is the one that they were held against."""

    token: str
    simulated: bool
    providers: list[ListedProviderJson]
    pod: NotRequired[str]


class StorageClassJson(TypedDict):
    """A class that volumes may name."""

    name: str
    grows: bool
    access_modes: list[AccessMode]


class IngressClassJson(TypedDict):
    """A class whose controller serves hosts of pods, and the annotations that it may be told."""

    name: str
    annotations: list[str]


class NodeSizeJson(TypedDict):
    """What a node gives to pods in all."""

    cpu_milli: Milli
    memory_mib: Mib
    storage_mib: Mib


class CapabilitiesJson(TypedDict):
    """What a manifest may ask for there."""

    storage_classes: list[StorageClassJson]
    default_class: bool
    ingress_classes: list[IngressClassJson]
    csi_drivers: list[str]
    udp: bool
    node_port: bool
    load_balancer: bool
    names: bool
    smtp: bool
    own_sleep: bool
    user_namespaces: bool
    node_labels: dict[str, list[str]]
    largest_node: NodeSizeJson


class ServiceFiguresJson(TypedDict):
    """What a provider measured of its own service, signed by its attested machine: its own word."""

    signed_at: int
    days: int
    counted_seconds: int
    up_seconds: int
    cold_starts: int
    cold_start_ms: int
    half_within_ms: int | None
    nine_of_ten_within_ms: int | None


class OwnServiceJson(TypedDict):
    """Figures, whether they were signed long ago, and why there are none."""

    figures: ServiceFiguresJson | None
    old: bool
    error: str | None


class InspectJson(ClassPart):
    """What one provider offers, as its attested machine has signed it."""

    provider: ProviderName
    trust: str
    capabilities: CapabilitiesJson
    service: OwnServiceJson


class OfferJson(ClassPart):
    """A provider that may take the pod, what it would cost there, and what `deploy` would pay in."""

    provider: ProviderName
    region: str
    asleep_hour: Tokens
    awake_hour: Tokens
    peak_hour: Tokens
    peak_day: Tokens
    retained_hour: Tokens
    deposit: Tokens
    warm_hour: NotRequired[Tokens]


class RenderJson(TypedDict):
    """The Kubernetes objects that the pod becomes there, in the order in which they are made."""

    provider: ProviderName
    pod: str
    objects: list[dict[str, object]]


class LeftOutJson(TypedDict):
    """A provider that cannot take the pod, and why."""

    provider: ProviderName
    reason: str


class EstimateJson(TypedDict):
    """Offers, cheapest first; `image_bytes` are the pod's images packed and unpacked, as they are billed."""

    pod: str
    token: str
    simulated: bool
    image_bytes: int
    min_replicas: int
    max_replicas: int
    outliving_mib: Mib
    offers: list[OfferJson]
    left_out: list[LeftOutJson]
