# SPDX-License-Identifier: Apache-2.0
"""What does not fit about volumes of kind `csi`: who can read them, what opens them, what lies over them."""

import posixpath
from collections.abc import Iterator, Mapping

from trustedpods.manifests.check.names import known
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import Volume


def csi_problems(manifest: PodManifest) -> Iterator[Problem]:
    """Everything of one manifest."""
    spec = manifest.spec
    volumes = {volume.name: volume for volume in spec.volumes}
    for index, volume in enumerate(spec.volumes):
        if volume.csi is not None:
            yield from _store(("spec", "volumes", index, "csi"), volume, manifest, volumes)
    for field, containers in (("containers", spec.containers), ("initContainers", spec.init_containers)):
        for index, container in enumerate(containers):
            yield from _one_source(("spec", field, index, "volumeMounts"), container, volumes)


def _store(
    at: Location, volume: Volume, manifest: PodManifest, volumes: Mapping[str, Volume]
) -> Iterator[Problem]:
    assert volume.csi is not None
    if volume.csi.store == "provider" and manifest.spec.trust == "sealed":
        text = "the provider can read its own store: write `trust: open`, or use a store of yours"
        yield Problem((*at, "store"), text)
    opens = volume.csi.node_publish_secret_ref
    if opens is None:
        return
    named = volumes.get(opens.name)
    if named is None or named.secret is None:
        secrets = [name for name, one in volumes.items() if one.secret]
        text = f"no secret volume is named {opens.name!r}{known(secrets)}"
        yield Problem((*at, "nodePublishSecretRef", "name"), text)


def _one_source(at: Location, container: Container, volumes: Mapping[str, Volume]) -> Iterator[Problem]:
    """A path comes from a secret or from a store: of two, one would hide the other's files."""
    paths = [posixpath.normpath("/" + mount.mount_path.lstrip("/")) for mount in container.volume_mounts]
    mounts = [
        (volumes.get(mount.name), path) for mount, path in zip(container.volume_mounts, paths, strict=True)
    ]
    stores = [path for volume, path in mounts if volume is not None and volume.csi is not None]
    for index, (volume, path) in enumerate(mounts):
        if volume is None or volume.secret is None:
            continue
        for store in stores:
            if path != store and (path.startswith(f"{store}/") or store.startswith(f"{path}/")):
                text = f"the csi volume at {store} has files here too: take a secret or a store, not both"
                yield Problem((*at, index, "mountPath"), text)
