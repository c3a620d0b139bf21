# SPDX-License-Identifier: Apache-2.0
"""The environment of a container."""

from typing import Self

from pydantic import model_validator

from trustedpods.manifests.spec.part import DnsLabel, EnvName, FileName, ManifestPart, Text


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
