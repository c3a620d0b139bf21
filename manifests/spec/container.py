# SPDX-License-Identifier: Apache-2.0
"""One container of a pod."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from trustedpods.manifests.spec.environment import EnvVar
from trustedpods.manifests.spec.part import (
    AbsolutePath,
    DnsLabel,
    FileName,
    ManifestPart,
    Port,
    Text,
    not_yet,
)
from trustedpods.manifests.spec.probe import Probe
from trustedpods.manifests.spec.resources import ContainerResources

MAX_CONTAINERS = 8


class ContainerPort(ManifestPart):
    """A port that a container listens on."""

    container_port: Port
    name: DnsLabel | None = None
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"

    @field_validator("protocol")
    @classmethod
    def _no_sctp(cls, protocol: str) -> str:
        if protocol == "SCTP":
            raise not_yet(f"protocol {protocol}")
        return protocol


class VolumeMount(ManifestPart):
    """Where a container sees a volume."""

    name: DnsLabel
    mount_path: AbsolutePath
    read_only: bool = False
    sub_path: FileName | None = None


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
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    security_context: SecurityContext = SecurityContext()

    @property
    def probes(self) -> list[Probe]:
        """All of its probes."""
        return [probe for probe in (self.readiness_probe, self.liveness_probe, self.startup_probe) if probe]

    @property
    def start_seconds(self) -> int:
        """How long its start may take by its probes: the startup probe's time, then the readiness probe's."""
        startup = self.startup_probe.longest_start if self.startup_probe else 0
        return startup + (self.readiness_probe.start_seconds if self.readiness_probe else 0)

    @model_validator(mode="after")
    def _one_success(self) -> Self:
        for probe in (self.liveness_probe, self.startup_probe):
            if probe is not None and probe.success_threshold != 1:
                raise ValueError("only a readinessProbe has a successThreshold other than 1")
        return self
