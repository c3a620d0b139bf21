# SPDX-License-Identifier: Apache-2.0
"""The Pod manifest: fields are named as in a Kubernetes PodSpec where the thing is the same.

What a later version brings is refused by name ("not supported yet"), never ignored. The model
is what both sides hold after parsing; `parse` adds file and line to its errors.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from trustedpods.manifests.spec.container import MAX_CONTAINERS, Container
from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.lifecycle import DEFAULT_GRACE_S, MAX_GRACE_S
from trustedpods.manifests.spec.part import DnsLabel, ManifestPart, Spelling
from trustedpods.manifests.spec.resources import ResourceSizes
from trustedpods.manifests.spec.scale import MAX_REPLICAS, Scale
from trustedpods.manifests.spec.service import Service
from trustedpods.manifests.spec.volume import Persistent, Volume
from trustedpods.protocol.units import Resources

FIXED = frozenset({"replicated", "stateful"})
"""Kinds of workload with a number of replicas of their own, which never sleep."""


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

    `workload` is the kind: `http` sleeps and scales by its requests; `replicated` is a Deployment and
    `stateful` a StatefulSet, both with just so many `replicas`, which never sleep. `strategy` is how replicas
    of `replicated` are replaced, `podManagement` in which order those of `stateful` start and end; both are
    in Kubernetes' words.
    `terminationGracePeriodSeconds` is how long a replica may take to end, with what `preStop` takes of it.
    """

    workload: Literal["http", "replicated", "stateful"] = "http"
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = None
    strategy: Literal["RollingUpdate", "Recreate"] | None = None
    pod_management: Literal["OrderedReady", "Parallel"] | None = None
    containers: Annotated[list[Container], Field(min_length=1, max_length=MAX_CONTAINERS)]
    init_containers: Annotated[list[Container], Field(max_length=MAX_CONTAINERS)] = []
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=MAX_GRACE_S)] = DEFAULT_GRACE_S
    volumes: Annotated[list[Volume], Field(max_length=32)] = []
    services: Annotated[list[Service], Field(max_length=8)] = []
    network: Network = Network()
    scale: Scale = Scale()
    trust: Literal["sealed", "open"] = "sealed"
    policy: DnsLabel | None = None
    payment: Payment = Payment()
    notify: Notify = Notify()

    @model_validator(mode="before")
    @classmethod
    def _replicas_are_the_scale(cls, given: object) -> object:
        """Of a kind that does not sleep the least and the most are its replicas, wherever they are read."""
        if not isinstance(given, dict) or given.get("workload") not in FIXED:
            return given
        scale, replicas = given.get("scale", {}), given.get("replicas", 1)
        if not isinstance(scale, dict) or type(replicas) is not int:
            return given
        return {**given, "replicas": replicas, "scale": {"min": replicas, "max": replicas, **scale}}

    @model_validator(mode="after")
    def _fits_the_kind(self) -> Self:
        if self.workload == "http" and self.replicas is not None:
            raise ValueError("replicas needs workload: replicated or stateful; http has scale: {min, max}")
        if self.workload != "replicated" and self.strategy is not None:
            raise ValueError("strategy needs workload: replicated")
        if self.workload != "stateful" and self.pod_management is not None:
            raise ValueError("podManagement needs workload: stateful")
        if self.fixed and not self.scale.min == self.scale.max == self.replicas:
            raise ValueError(f"workload {self.workload} has just its replicas: leave scale.min and max out")
        if self.fixed and self.scale.idle_after is not None:
            raise ValueError(f"workload {self.workload} never sleeps: leave scale.idleAfter out")
        return self

    @property
    def fixed(self) -> bool:
        """Whether the number of replicas stands in the manifest, and nothing but money changes it."""
        return self.workload in FIXED

    @field_validator("init_containers")
    @classmethod
    def _serve_nobody(cls, containers: list[Container]) -> list[Container]:
        if any(container.probes for container in containers):
            raise ValueError("an init container has no probes: it has ended before the pod serves")
        if any(container.lifecycle for container in containers):
            raise ValueError("an init container has no lifecycle: it ends by itself")
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
        """MiB of persistent volumes, billed while they exist; each replica of `stateful` has its own."""
        one = sum(volume.persistent.size for volume in self.spec.volumes if volume.persistent)
        return one * self.claims_each

    @property
    def persistent_volumes(self) -> dict[str, Persistent]:
        """The persistent volumes by name."""
        return {volume.name: volume.persistent for volume in self.spec.volumes if volume.persistent}

    @property
    def outliving_volumes(self) -> dict[str, Persistent]:
        """Those that a `delete` leaves: as each says, else all of a stateful pod."""
        usual = self.spec.workload == "stateful"
        volumes = self.persistent_volumes.items()
        return {name: one for name, one in volumes if (usual if one.retain is None else one.retain)}

    @property
    def stops_for_update(self) -> bool:
        """Whether the version before must have ended when a newer one starts: both would be one identity."""
        kinds = self.spec.workload == "stateful" or self.spec.strategy == "Recreate"
        return bool(kinds or self.volume_mib)

    @property
    def claims_each(self) -> int:
        """Claims that a persistent volume becomes: one, or one for each replica of `stateful`."""
        return self.spec.scale.max if self.spec.workload == "stateful" else 1

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
