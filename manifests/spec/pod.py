# SPDX-License-Identifier: Apache-2.0
"""The Pod manifest: fields are named as in a Kubernetes PodSpec where the thing is the same.

What a later version brings is refused by name ("not supported yet"), never ignored. The model
is what both sides hold after parsing; `parse` adds file and line to its errors.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from trustedpods.manifests.spec.container import MAX_CONTAINERS, Container, InitContainer
from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.environment import HostAlias
from trustedpods.manifests.spec.lifecycle import DEFAULT_GRACE_S, MAX_GRACE_S, Reload
from trustedpods.manifests.spec.part import DnsLabel, ManifestPart, Spelling
from trustedpods.manifests.spec.placement.affinity import Affinity
from trustedpods.manifests.spec.placement.labels import LabelKey, LabelValue
from trustedpods.manifests.spec.placement.toleration import Toleration, TopologySpread
from trustedpods.manifests.spec.placement.wanted import placement
from trustedpods.manifests.spec.resources import ResourceSizes
from trustedpods.manifests.spec.scale import Scale
from trustedpods.manifests.spec.service import Service
from trustedpods.manifests.spec.volume import Generated, Persistent, Volume
from trustedpods.protocol.limits import MAX_REPLICAS, MAX_VOLUMES
from trustedpods.protocol.messages.admission import IngressAsk, VolumeAsk
from trustedpods.protocol.messages.capabilities import MAX_LABELS, Placement
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


def _only_false(given: object) -> object:
    if given is True:
        raise ValueError("a pod can only ask for user ids of its own (false); leave it out where any will do")
    return given


class PodSpec(ManifestPart):
    """What the pod is made of, how it scales, whom it trusts and what it may cost.

    `initContainers` run one after another, each to its end, before the `containers` of a replica start; one
    with `restartPolicy: Always` is a sidecar, which the next waits for only until it has started.

    `workload` is the kind: `http` sleeps and scales by its requests; `replicated` is a Deployment and
    `stateful` a StatefulSet, both with just so many `replicas`, which never sleep. `strategy` is how replicas
    of `replicated` are replaced, `podManagement` in which order those of `stateful` start and end; both are
    in Kubernetes' words.
    `nodeSelector`, `affinity`, `tolerations` and `topologySpreadConstraints` say on which nodes replicas run,
    by labels that the provider advertises.
    With `hostUsers: false` the pod comes only where its user ids are no other pod's outside of it.
    `reload` is how running replicas take files that the network's address book changed.
    `terminationGracePeriodSeconds` is how long a replica may take to end, with what `preStop` takes of it.
    """

    workload: Literal["http", "replicated", "stateful"] = "http"
    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] | None = None
    strategy: Literal["RollingUpdate", "Recreate"] | None = None
    pod_management: Literal["OrderedReady", "Parallel"] | None = None
    containers: Annotated[list[Container], Field(min_length=1, max_length=MAX_CONTAINERS)]
    init_containers: Annotated[list[InitContainer], Field(max_length=MAX_CONTAINERS)] = []
    termination_grace_period_seconds: Annotated[int, Field(ge=1, le=MAX_GRACE_S)] = DEFAULT_GRACE_S
    volumes: Annotated[list[Volume], Field(max_length=MAX_VOLUMES)] = []
    host_aliases: Annotated[list[HostAlias], Field(max_length=16)] = []
    services: Annotated[list[Service], Field(max_length=8)] = []
    network: Network = Network()
    reload: Reload | None = None
    node_selector: Annotated[dict[LabelKey, LabelValue], Field(max_length=MAX_LABELS)] = {}
    affinity: Affinity | None = None
    tolerations: Annotated[list[Toleration], Field(max_length=MAX_LABELS)] = []
    topology_spread_constraints: Annotated[list[TopologySpread], Field(max_length=4)] = []
    host_users: Annotated[Literal[False] | None, BeforeValidator(_only_false)] = None
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

    @property
    def all_containers(self) -> list[Container]:
        """Every container of a replica, in the order in which they start."""
        return [*self.init_containers, *self.containers]

    @property
    def sidecars(self) -> list[InitContainer]:
        """Init containers that go on beside the pod's own containers, and end after them."""
        return [container for container in self.init_containers if container.sidecar]

    @property
    def running_containers(self) -> list[Container]:
        """The containers that run while a replica serves."""
        return [*self.sidecars, *self.containers]


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
        """What Kubernetes sets aside: what runs together at the largest moment of a replica's life.

        While an init container runs there are with it the sidecars before it, later all sidecars and the
        pod's own containers (`PodRequests` in component-helpers/resource/helpers.go).
        """
        sidecars: list[ResourceSizes] = []
        moments: list[list[ResourceSizes]] = []
        for container in self.spec.init_containers:
            moments.append([*sidecars, container.resources.limits])
            if container.sidecar:
                sidecars.append(container.resources.limits)
        moments.append([*sidecars, *(container.resources.limits for container in self.spec.containers)])
        return ResourceSizes.model_construct(
            cpu=max(sum(part.cpu for part in moment) for moment in moments),
            memory=max(sum(part.memory for part in moment) for moment in moments),
            ephemeral_storage=max(sum(part.ephemeral_storage for part in moment) for moment in moments),
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
    def made_secrets(self) -> list[str]:
        """Names of the secret volumes with values that are made inside the provider."""
        return [one.name for one in self.spec.volumes if one.secret is not None and one.secret.generate]

    @property
    def certified(self) -> bool:
        """Whether certificates are made for it, which are renewed while it runs."""
        return any(one.secret is not None and one.secret.certificates for one in self.spec.volumes)

    @property
    def identity(self) -> tuple[str, str] | None:
        """The secret volume, and the file in it, whose public half the pod is known by, if there is one."""
        for volume in self.spec.volumes:
            for file, made in volume.secret.generate.items() if volume.secret else ():
                if made.identity:
                    return volume.name, file
        return None

    @property
    def identity_key(self) -> Generated | None:
        """How that key is made."""
        if self.identity is None:
            return None
        volume, file = self.identity
        return next(
            one.secret.generate[file] for one in self.spec.volumes if one.name == volume and one.secret
        )

    @property
    def outliving_volumes(self) -> dict[str, Persistent]:
        """Those that a `delete` leaves: as each says, else all of a stateful pod."""
        usual = self.spec.workload == "stateful"
        volumes = self.persistent_volumes.items()
        return {name: one for name, one in volumes if (usual if one.retain is None else one.retain)}

    @property
    def outliving_mib(self) -> int:
        """MiB of those, which are billed after a delete; each replica of `stateful` has its own."""
        return sum(one.size for one in self.outliving_volumes.values()) * self.claims_each

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
    def placement(self) -> Placement:
        """Where the replicas want to run."""
        spec = self.spec
        return placement(
            spec.node_selector, spec.affinity, spec.tolerations, spec.topology_spread_constraints
        )

    @property
    def volume_asks(self) -> list[VolumeAsk]:
        """What is asked of a provider for each persistent volume."""
        return [
            VolumeAsk(
                name=name,
                mib=one.size,
                storage_class=one.storage_class_name,
                access_mode=one.access_mode,
                ordinals=self.spec.workload == "stateful",
            )
            for name, one in self.persistent_volumes.items()
        ]

    @property
    def csi_drivers(self) -> list[str]:
        """Drivers that mount the pod's volumes of kind csi, each once."""
        return list(dict.fromkeys(volume.csi.driver for volume in self.spec.volumes if volume.csi))

    @property
    def ingress_asks(self) -> list[IngressAsk]:
        """What is asked of a provider for each service that a controller of the cluster's serves."""
        return [
            IngressAsk(class_name=one.ingress.class_name, annotations=list(one.ingress.annotations))
            for one in self.spec.services
            if one.ingress is not None
        ]

    @property
    def exposed_services(self) -> list[Service]:
        """The services that are reached from outside the pod."""
        return [service for service in self.spec.services if service.exposed]

    @property
    def facade_services(self) -> list[Service]:
        """The services that the provider's facade serves, each at its only port."""
        return [service for service in self.spec.services if service.wakes]
