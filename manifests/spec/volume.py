# SPDX-License-Identifier: Apache-2.0
"""What outlives a container, or comes with it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import DnsLabel, FileName, ManifestPart, not_yet
from trustedpods.manifests.spec.quantity import MiB


class EmptyDir(ManifestPart):
    """Scratch space that goes with the pod."""

    size_limit: MiB = 64


class Persistent(ManifestPart):
    """A volume that outlives the pod's processes and its being at zero; billed while it exists.

    With `retain` it outlives a `delete` too; without a word it does where the workload is stateful.
    """

    size: MiB
    storage_class_name: DnsLabel | None = None
    retain: bool | None = None


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
