# SPDX-License-Identifier: Apache-2.0
"""The Pod manifest: fields are named as in a Kubernetes PodSpec where the thing is the same.

What a later version brings is refused by name ("not supported yet"), never ignored. The model
is what both sides hold after parsing; `parse` adds file and line to its errors.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, field_validator

from trustedpods.manifests.spec.container import MAX_CONTAINERS, Container
from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.part import DnsLabel, ManifestPart, Spelling, not_yet
from trustedpods.manifests.spec.resources import ResourceSizes
from trustedpods.manifests.spec.scale import Scale
from trustedpods.manifests.spec.service import Service
from trustedpods.manifests.spec.volume import Volume
from trustedpods.protocol.units import Resources


class Payment(ManifestPart):
    """Money in whole tokens, as decimal text: `"2.5"`. `maxCostPerDay` bounds the replicas at once."""

    deposit: Annotated[Decimal, Field(gt=0, max_digits=30, decimal_places=18, strict=False)] | None = None
    max_cost_per_day: (
        Annotated[Decimal, Field(gt=0, max_digits=30, decimal_places=18, strict=False)] | None
    ) = None


class Notify(ManifestPart):
    """Where warnings go while no client runs: `webhook` gets a signed POST (docs/metering.md)."""

    webhook: Annotated[str, Spelling(r"https?://[!-~]{1,500}", "an http or https URL")] | None = None


class PodSpec(ManifestPart):
    """What the pod is made of, how it scales, whom it trusts and what it may cost.

    `initContainers` run one after another, each to its end, before the `containers` of a replica start.
    """

    workload: Literal["http", "replicated", "stateful"] = "http"
    containers: Annotated[list[Container], Field(min_length=1, max_length=MAX_CONTAINERS)]
    init_containers: Annotated[list[Container], Field(max_length=MAX_CONTAINERS)] = []
    volumes: Annotated[list[Volume], Field(max_length=32)] = []
    services: Annotated[list[Service], Field(max_length=8)] = []
    network: Network = Network()
    scale: Scale = Scale()
    trust: Literal["sealed", "open"] = "sealed"
    policy: DnsLabel | None = None
    payment: Payment = Payment()
    notify: Notify = Notify()

    @field_validator("workload")
    @classmethod
    def _http_only(cls, workload: str) -> str:
        if workload != "http":
            raise not_yet(f"workload {workload}")
        return workload

    @field_validator("init_containers")
    @classmethod
    def _serve_nobody(cls, containers: list[Container]) -> list[Container]:
        if any(container.probes for container in containers):
            raise ValueError("an init container has no probes: it has ended before the pod serves")
        return containers

    @property
    def all_containers(self) -> list[Container]:
        """Every container of a replica, in the order in which they start."""
        return [*self.init_containers, *self.containers]


class Metadata(ManifestPart):
    """The pod's name: the publisher's own, never shown to others."""

    name: DnsLabel


class PodManifest(ManifestPart):
    """A whole manifest file. References inside it are checked here, files by `parse`."""

    api_version: Literal["trustedpods/v1"]
    kind: Literal["Pod"]
    metadata: Metadata
    spec: PodSpec

    @property
    def replica_size(self) -> Resources:
        """What one replica gets and pays for while it runs."""
        limits = self.replica_limits
        return Resources(limits.cpu, limits.memory, limits.ephemeral_storage)

    @property
    def replica_limits(self) -> ResourceSizes:
        """What Kubernetes sets aside: all containers together, or a larger init container alone."""
        main = [container.resources.limits for container in self.spec.containers]
        first = [container.resources.limits for container in self.spec.init_containers]
        return ResourceSizes.model_construct(
            cpu=max([sum(part.cpu for part in main), *(part.cpu for part in first)]),
            memory=max([sum(part.memory for part in main), *(part.memory for part in first)]),
            ephemeral_storage=max(
                [sum(part.ephemeral_storage for part in main), *(part.ephemeral_storage for part in first)]
            ),
        )

    @property
    def volume_mib(self) -> int:
        """MiB of persistent volumes, billed while they exist."""
        return sum(volume.persistent.size for volume in self.spec.volumes if volume.persistent)

    @property
    def storage_classes(self) -> list[str]:
        """Storage classes that the persistent volumes name, each once."""
        named = [volume.persistent.storage_class_name for volume in self.spec.volumes if volume.persistent]
        return list(dict.fromkeys(name for name in named if name is not None))

    @property
    def exposed_services(self) -> list[Service]:
        """The services that are reached from outside the pod."""
        return [service for service in self.spec.services if service.exposed]

    @property
    def facade_services(self) -> list[Service]:
        """The services that the provider's facade serves, each at its only port."""
        return [service for service in self.spec.services if service.wakes]
