# SPDX-License-Identifier: Apache-2.0
"""The Pod manifest: fields are named as in a Kubernetes PodSpec where the thing is the same.

What a later version brings is refused by name ("not supported yet"), never ignored. The model
is what both sides hold after parsing; `parse` adds file and line to its errors.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from trustedpods.manifests.egress import Network
from trustedpods.manifests.part import STRICT, DnsLabel, Port, Spelling, not_yet
from trustedpods.manifests.quantity import CpuMilli, MiB, Seconds
from trustedpods.manifests.service import Service
from trustedpods.protocol.units import Resources

EnvName = Annotated[
    str,
    Spelling(
        r"[A-Za-z_][A-Za-z0-9_.-]{0,254}",
        "up to 255 letters, digits, `_`, `.` and `-`, beginning with a letter or `_`",
    ),
]
FileName = Annotated[
    str,
    Spelling(
        r"(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}",
        "one name of letters, digits, `-`, `_` and `.`, which does not begin with `..`",
    ),
]
AbsolutePath = Annotated[
    str,
    Spelling(
        r"/(?!(?:.*/)?\.\.(?:/|$))[^\x00-\x1f\x7f:]{0,511}",
        "an absolute path without `:`, `..` and control characters, up to 512 characters",
    ),
]
Text = Annotated[
    str, Field(max_length=32 * 1024), Spelling(r"(?s:[^\x00]*)", "no program can be given a NUL")
]

DEFAULT_CPU_MILLI = 100
DEFAULT_MEMORY_MIB = 128
DEFAULT_EPHEMERAL_MIB = 256
MAX_REPLICAS = 20
MAX_CONTAINERS = 8


class ManifestPart(BaseModel):
    """Base of every part of a manifest: camelCase in files, unknown fields refused."""

    model_config = STRICT


class SecretKeyRef(ManifestPart):
    """A key of a secret volume of this manifest."""

    name: DnsLabel
    key: FileName


class EnvSource(ManifestPart):
    """Where an environment variable's value comes from."""

    secret_key_ref: SecretKeyRef


class EnvVar(ManifestPart):
    """One environment variable: a value, or a key of a secret; with neither it is empty, as in Kubernetes."""

    name: EnvName
    value: Text | None = None
    value_from: EnvSource | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.value is not None and self.value_from is not None:
            raise ValueError("give either value or valueFrom")
        return self


class ContainerPort(ManifestPart):
    """A port that a container listens on."""

    container_port: Port
    name: DnsLabel | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"

    @field_validator("protocol")
    @classmethod
    def _tcp_only(cls, protocol: str) -> str:
        if protocol != "TCP":
            raise not_yet(f"protocol {protocol}")
        return protocol


class ResourceSizes(ManifestPart):
    """CPU, memory and scratch disk of a container."""

    cpu: CpuMilli = DEFAULT_CPU_MILLI
    memory: MiB = DEFAULT_MEMORY_MIB
    ephemeral_storage: MiB = Field(default=DEFAULT_EPHEMERAL_MIB, alias="ephemeral-storage")


class ResourceRequests(ManifestPart):
    """What of the sizes is said again under `requests`."""

    cpu: CpuMilli | None = None
    memory: MiB | None = None
    ephemeral_storage: MiB | None = Field(default=None, alias="ephemeral-storage")


class ContainerResources(ManifestPart):
    """`limits` is what is billed; `requests` say the same, or stand for limits where none are given."""

    limits: ResourceSizes = ResourceSizes()
    requests: ResourceRequests = ResourceRequests()

    @model_validator(mode="before")
    @classmethod
    def _requests_alone(cls, given: object) -> object:
        if isinstance(given, dict) and "limits" not in given and given.get("requests"):
            return {**given, "limits": given["requests"]}
        return given

    @model_validator(mode="after")
    def _equal(self) -> Self:
        for name in ResourceRequests.model_fields:
            if getattr(self.requests, name) not in (None, getattr(self.limits, name)):
                raise ValueError(
                    "requests differ from limits: a pod gets, and pays, exactly its limits; leave them out"
                )
        return self


class VolumeMount(ManifestPart):
    """Where a container sees a volume."""

    name: DnsLabel
    mount_path: AbsolutePath
    read_only: bool = False
    sub_path: FileName | None = None


class HttpGet(ManifestPart):
    """Ready when this answers with a status from 200 to 399."""

    path: Annotated[
        str,
        Spelling(r"/[!-~]{0,1023}", "a path that begins with `/`; a space is %20"),
    ] = "/"
    port: Port


class TcpSocket(ManifestPart):
    """Ready when a connection is accepted."""

    port: Port


class Probe(ManifestPart):
    """When a container can take requests. Run by the provider's facade, not by the kubelet.

    Without a period it is asked closely, and a start may take as long as the provider lets any. A period and
    a threshold say how long this one may take; the provider has a bound for that too.
    """

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    timeout_seconds: Annotated[int, Field(ge=1, le=60)] = 1
    initial_delay_seconds: Annotated[int, Field(ge=0, le=3600)] = 0
    period_seconds: Annotated[int, Field(ge=1, le=300)] | None = None
    failure_threshold: Annotated[int, Field(ge=1, le=3600)] | None = None

    @property
    def start_seconds(self) -> int:
        """How long a start may take; 0 if the probe does not say. Kubernetes' defaults: 10 s, 3 times."""
        if self.period_seconds is None and self.failure_threshold is None:
            return self.initial_delay_seconds
        return self.initial_delay_seconds + (self.period_seconds or 10) * (self.failure_threshold or 3)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.http_get is None) == (self.tcp_socket is None):
            raise ValueError("give either httpGet or tcpSocket")
        return self


class SecurityContext(ManifestPart):
    """What of a container may be shut further. All else is as the restricted profile has it."""

    read_only_root_filesystem: bool = False


class Container(ManifestPart):
    """One container, as in a PodSpec.

    `image` names an archive on the publisher's disk: `oci-archive:FILE`, `docker-archive:FILE`
    or `oci:DIRECTORY`; no registry is asked.
    """

    name: DnsLabel
    image: Annotated[str, Field(min_length=1, max_length=512)]
    command: Annotated[list[Text], Field(max_length=64)] = []
    args: Annotated[list[Text], Field(max_length=256)] = []
    working_dir: AbsolutePath | None = None
    env: Annotated[list[EnvVar], Field(max_length=256)] = []
    ports: Annotated[list[ContainerPort], Field(max_length=16)] = []
    resources: ContainerResources = ContainerResources()
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32)] = []
    readiness_probe: Probe | None = None
    security_context: SecurityContext = SecurityContext()


class EmptyDir(ManifestPart):
    """Scratch space that goes with the pod."""

    size_limit: MiB = 64


class Persistent(ManifestPart):
    """A volume that outlives the pod's processes and its being at zero; billed while it exists."""

    size: MiB
    storage_class_name: DnsLabel | None = None


class SecretSource(ManifestPart):
    """Files of the publisher, sealed into the bundle. Paths are relative to the manifest."""

    files: Annotated[dict[FileName, str], Field(min_length=1, max_length=64)]


class Volume(ManifestPart):
    """A volume of the pod: exactly one kind."""

    name: DnsLabel
    empty_dir: EmptyDir | None = None
    persistent: Persistent | None = None
    secret: SecretSource | None = None
    csi: dict[str, object] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.csi is not None:
            raise not_yet("volume kind csi")
        if [self.empty_dir, self.persistent, self.secret].count(None) != 2:
            raise ValueError("give exactly one of emptyDir, persistent, secret")
        return self


class Scale(ManifestPart):
    """How many replicas: `min` 0 lets the pod sleep after `idleAfter` without a request.

    A connection that has carried nothing for `idleConnection` does not keep the pod awake, and is
    closed when it falls asleep; one that is older than `maxConnectionAge` is closed anyway.
    """

    min: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 0
    max: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = 1
    idle_after: Seconds | None = None
    concurrency: Annotated[int, Field(ge=1, le=10_000)] = 50
    idle_connection: Seconds = 600
    max_connection_age: Seconds = 86_400

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


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
        if any(container.readiness_probe for container in containers):
            raise ValueError("an init container has no readinessProbe: it has ended before the pod serves")
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
        """The services that are reached from outside the pod, each at its only port."""
        return [service for service in self.spec.services if service.exposed]
