# SPDX-License-Identifier: Apache-2.0
"""What outlives a container, or comes with it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from trustedpods.manifests.spec.part import DnsLabel, FileName, ManifestPart, Spelling, not_yet
from trustedpods.manifests.spec.quantity import MiB


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


ORDINAL_MARK = "{ordinal}"
"""In the path of a seed: the number of the replica whose folder it is."""


class Seed(ManifestPart):
    """Files of the publisher, sealed into the bundle, with which a new volume begins.

    `directory` is relative to the manifest, with all that is below it; with `{ordinal}` in it each replica
    of `workload: stateful` has a directory of its own.
    """

    directory: Annotated[str, Spelling(r"[^\x00]{1,1024}", "the path of a directory beside the manifest")]

    @property
    def by_ordinal(self) -> bool:
        """Whether each replica has its own."""
        return ORDINAL_MARK in self.directory


class Volume(ManifestPart):
    """A volume of the pod: exactly one kind. `seed` is what a persistent one begins with."""

    name: DnsLabel
    empty_dir: EmptyDir | None = None
    persistent: Persistent | None = None
    secret: SecretSource | None = None
    csi: dict[str, object] | None = None
    seed: Seed | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.csi is not None:
            raise not_yet("volume kind csi")
        if [self.empty_dir, self.persistent, self.secret].count(None) != 2:
            raise ValueError("give exactly one of emptyDir, persistent, secret")
        if self.seed is not None and self.persistent is None:
            raise ValueError("a seed fills a persistent volume: others are made anew with each replica")
        return self
