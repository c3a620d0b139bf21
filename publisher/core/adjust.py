# SPDX-License-Identifier: Apache-2.0
"""What is changed in a manifest before it is sent: by the command line, and for what images declare."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from trustedpods.manifests.parse import LoadedManifest
from trustedpods.manifests.spec.container import Container, VolumeMount
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import EmptyDir, Volume
from trustedpods.protocol.errors import BadInput

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


def with_containers(manifest: PodManifest, made: Mapping[str, Container]) -> PodManifest:
    """*manifest* with each container as it is in *made*, by its name."""
    spec = manifest.spec
    if all(made[one.name] is one for one in spec.all_containers):
        return manifest
    update = {
        "init_containers": [made[one.name] for one in spec.init_containers],
        "containers": [made[one.name] for one in spec.containers],
    }
    return manifest.model_copy(update={"spec": spec.model_copy(update=update)})


_Part = TypeVar("_Part", bound=Container)

MAX_WRITABLE = 16
"""Paths of an image that get a volume each: more is a mistake in its Dockerfile."""

MAX_VOLUMES = 32
"""Volumes of a pod, as the manifest's model has it."""


def with_writable(manifest: PodManifest, declared: Mapping[str, Sequence[str]]) -> PodManifest:
    """*manifest* with an `emptyDir` at each path that an image declares (VOLUME) under a read-only root.

    *declared* are the paths by container. A path at or below a mount of the manifest's is left to that.
    Raises `BadInput` for more of them than there may be.
    """
    made: list[Volume] = []
    spec = manifest.spec
    first = [_writable(one, declared.get(one.name, ()), spec.volumes, made) for one in spec.init_containers]
    main = [_writable(one, declared.get(one.name, ()), spec.volumes, made) for one in spec.containers]
    if not made:
        return manifest
    if len(spec.volumes) + len(made) > MAX_VOLUMES:
        text = f"with the VOLUME paths of its images the pod has {len(spec.volumes) + len(made)} volumes"
        raise BadInput(f"{text}; at most {MAX_VOLUMES}", hint="mount one emptyDir above several of the paths")
    update = {"init_containers": first, "containers": main, "volumes": [*spec.volumes, *made]}
    return manifest.model_copy(update={"spec": spec.model_copy(update=update)})


def _writable(part: _Part, declared: Sequence[str], taken: Sequence[Volume], made: list[Volume]) -> _Part:
    """The container with its mounts; their volumes are added to *made*."""
    if not part.security_context.read_only_root_filesystem:
        return part
    paths = sorted({_normal(path) for path in declared if path.startswith("/")} - {"/"})
    free = [
        path for path in paths if not any(_covers(_normal(m.mount_path), path) for m in part.volume_mounts)
    ]
    if len(free) > MAX_WRITABLE:
        raise BadInput(f"the image of {part.name} declares {len(free)} VOLUME paths; at most {MAX_WRITABLE}")
    mounts = list(part.volume_mounts)
    for path in free:
        name = _free_name(len(made), {volume.name for volume in taken})
        made.append(Volume(name=name, empty_dir=EmptyDir()))
        mounts.append(VolumeMount(name=name, mount_path=path))
    return part.model_copy(update={"volume_mounts": mounts})


def _free_name(number: int, taken: set[str]) -> str:
    name = f"writable-{number}"
    while name in taken:
        name += "-0"
    return name


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).strip("/")


def _covers(mount: str, path: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")
