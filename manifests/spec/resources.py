# SPDX-License-Identifier: Apache-2.0
"""What a container is given, and what is billed."""

from typing import Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import ManifestPart
from trustedpods.manifests.spec.quantity import CpuMilli, MiB

DEFAULT_CPU_MILLI = 100
DEFAULT_MEMORY_MIB = 128
DEFAULT_EPHEMERAL_MIB = 256


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
