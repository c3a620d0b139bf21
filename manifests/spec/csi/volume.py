# SPDX-License-Identifier: Apache-2.0
"""A volume of kind `csi`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import DnsLabel, ManifestPart, Spelling, Text

SECRETS_STORE = "secrets-store.csi.k8s.io"
"""The driver that mounts what a SecretProviderClass names (secrets-store-csi-driver.sigs.k8s.io)."""

CLASS_ATTRIBUTE = "secretProviderClass"
"""The attribute by which that driver is told its class: the provider writes it."""

KUBELET_PREFIX = "csi.storage.k8s.io/"
"""Of attributes by which the kubelet tells a driver whose pod it is: no pod may say it for itself."""

DriverName = Annotated[
    str,
    Field(max_length=63),
    Spelling(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?", "a driver's name, as secrets-store.csi.k8s.io"),
]
AttributeName = Annotated[
    str, Field(max_length=253), Spelling(r"[-._/a-zA-Z0-9]+", "letters, digits, `-`, `_`, `.` and `/`")
]
Attributes = Annotated[dict[AttributeName, Text], Field(max_length=32)]


class SecretProviderClass(ManifestPart):
    """What the secrets store is asked for: its `provider`, as aws, azure or vault, and that one's words."""

    provider: DnsLabel
    parameters: Attributes = {}


class SecretName(ManifestPart):
    """The secret volume of the pod with what opens the store."""

    name: DnsLabel


class CsiVolume(ManifestPart):
    """What a driver of the provider's nodes mounts, read only.

    `store` says whose the store behind it is. The provider's own it can read, whatever machine the pod runs
    on, so `trust: sealed` takes the publisher's only, opened with what `nodePublishSecretRef` names.
    """

    driver: DriverName
    store: Literal["publisher", "provider"]
    read_only: Literal[True] = True
    volume_attributes: Attributes = {}
    secret_provider_class: SecretProviderClass | None = None
    node_publish_secret_ref: SecretName | None = None

    @model_validator(mode="after")
    def _fits_the_driver(self) -> Self:
        if self.driver == SECRETS_STORE and self.secret_provider_class is None:
            raise ValueError(f"driver {SECRETS_STORE} needs secretProviderClass: {{provider, parameters}}")
        if self.driver != SECRETS_STORE and self.secret_provider_class is not None:
            raise ValueError(f"secretProviderClass is for driver {SECRETS_STORE}")
        for name in self.volume_attributes:
            if name == CLASS_ATTRIBUTE or name.startswith(KUBELET_PREFIX):
                raise ValueError(f"volumeAttributes: {name} is written by the provider: leave it out")
        return self
