# SPDX-License-Identifier: Apache-2.0
"""One container of a pod."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, PlainValidator, field_validator, model_validator

from trustedpods.manifests.spec.environment import EnvFrom, EnvVar
from trustedpods.manifests.spec.lifecycle import Lifecycle
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
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.images.runnable import MAX_USER

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


USER_NAME = r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?"
"""What shadow's useradd lets through, in capitals and with dots too."""


def _user(value: object) -> int | str | None:
    if value is None or (isinstance(value, str) and re.fullmatch(USER_NAME, value, re.ASCII)):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_USER:
        return value
    raise ValueError(f"a user is a number from 1 to {MAX_USER} (0 is root), or a name in the image's passwd")


class SecurityContext(ManifestPart):
    """Who runs, and what may be shut further. All else is as the restricted profile has it.

    `runAsUser` takes the place of the image's user, which may then be root. A name is one of the image's
    /etc/passwd: the client looks it up, providers get its number.
    """

    read_only_root_filesystem: bool = False
    run_as_user: Annotated[
        int | str | None, PlainValidator(_user, json_schema_input_type=int | str | None)
    ] = None
    run_as_group: Annotated[int, Field(ge=1, le=MAX_USER)] | None = None

    @model_validator(mode="after")
    def _group_of_a_user(self) -> Self:
        if self.run_as_group is not None and self.run_as_user is None:
            raise ValueError("runAsGroup needs runAsUser: no container runtime takes it alone")
        return self

    @property
    def user(self) -> int | None:
        """The number that runs instead of the image's user; a name must have been looked up before."""
        if isinstance(self.run_as_user, str):
            raise LocalProtocolError(f"the user {self.run_as_user} is not looked up")
        return self.run_as_user


class Container(ManifestPart):
    """One container, as in a PodSpec.

    `image` is an image of a registry (`registry.example.org/team/app:1.2`), an archive on this disk
    (`oci-archive:FILE`, `docker-archive:FILE`, `oci:DIRECTORY`), one in a store of this machine
    (`docker-daemon:NAME`, `podman:NAME`, `containerd:NAME`), or built here (`dockerfile:DIRECTORY`).
    """

    name: DnsLabel
    image: Annotated[str, Field(min_length=1, max_length=512)]
    command: Annotated[list[Text], Field(max_length=64)] = []
    args: Annotated[list[Text], Field(max_length=256)] = []
    working_dir: AbsolutePath | None = None
    env: Annotated[list[EnvVar], Field(max_length=256)] = []
    env_from: Annotated[list[EnvFrom], Field(max_length=16)] = []
    ports: Annotated[list[ContainerPort], Field(max_length=16)] = []
    resources: ContainerResources = ContainerResources()
    volume_mounts: Annotated[list[VolumeMount], Field(max_length=32)] = []
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    security_context: SecurityContext = SecurityContext()

    @property
    def probes(self) -> list[Probe]:
        """All of its probes."""
        return [probe for probe in (self.readiness_probe, self.liveness_probe, self.startup_probe) if probe]

    @property
    def asked_ports(self) -> set[int]:
        """Ports at which the node asks the container something: by probes, and before it ends."""
        before_the_end = self.lifecycle.pre_stop.http_get if self.lifecycle else None
        asked = {probe.port for probe in self.probes} | {before_the_end.port if before_the_end else None}
        return {port for port in asked if port is not None}

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


class InitContainer(Container):
    """A container that starts before the pod's own, after those before it.

    It runs to its end; with `restartPolicy: Always` it goes on beside the others (a sidecar), and ends after
    them.
    """

    restart_policy: Literal["Always", "OnFailure", "Never"] | None = None

    @property
    def sidecar(self) -> bool:
        """Whether it goes on beside the others."""
        return self.restart_policy == "Always"

    @model_validator(mode="after")
    def _serves_nobody(self) -> Self:
        if self.restart_policy not in (None, "Always"):
            said = f"restartPolicy {self.restart_policy}"
            raise ValueError(f"{said}: an init container runs to its end; Always makes it a sidecar")
        if self.probes and not self.sidecar:
            raise ValueError(
                "an init container has no probes: it has ended before the pod serves; "
                "one with restartPolicy: Always has"
            )
        if self.lifecycle and not self.sidecar:
            raise ValueError(
                "an init container has no lifecycle: it ends by itself; one with restartPolicy: Always has"
            )
        return self
