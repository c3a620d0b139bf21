# SPDX-License-Identifier: Apache-2.0
"""What the command line may change in a manifest."""

from typing import TYPE_CHECKING

from trustedpods.manifests.parse import LoadedManifest
from trustedpods.manifests.spec.pod import PodManifest

if TYPE_CHECKING:
    # messages cost validate a third of its time
    from trustedpods.protocol.messages.provider import TrustClass


def adjusted(loaded: LoadedManifest, name: str | None, trust: "TrustClass | None") -> PodManifest:
    """The manifest with what the command line changes: its name, its class of provider."""
    manifest = loaded.manifest
    if name is not None:
        metadata = manifest.metadata.model_copy(update={"name": name})
        manifest = manifest.model_copy(update={"metadata": metadata})
    if trust is not None:
        manifest = manifest.model_copy(update={"spec": manifest.spec.model_copy(update={"trust": trust})})
    return manifest
