# SPDX-License-Identifier: Apache-2.0
"""What of a pod is backed up: which volume, read in which container, by which command. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.manifests.check.seeds import OWN_PREFIX
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.errors import Refused


@dataclass(frozen=True, slots=True)
class VolumeSource:
    """One volume: where it is mounted in the container that reads it."""

    volume: str
    container: str
    path: str


@dataclass(frozen=True, slots=True)
class Sources:
    """The volumes of each replica, the replicas' numbers (None: they have none), and what is left out."""

    volumes: tuple[VolumeSource, ...]
    ordinals: tuple[int | None, ...]
    left_out: tuple[str, ...]


class NothingToBackUp(Refused):
    """The pod has no volume of which a backup could be made, and none was asked for by name."""


def sources(manifest: PodManifest, only: Sequence[str], container: str | None) -> Sources:
    """What is backed up: all persistent volumes but those of `neverRestore`, or those of *only*.

    Each is read in *container*, else in the first that mounts it whole. Refused (rule `no-backup`) for a
    volume that is not there, must not go back in time, or is mounted nowhere whole, and where none is left.
    """
    persistent = manifest.persistent_volumes
    for name in only:
        if name not in persistent:
            raise _none(f"no persistent volume {name!r}", f"there are: {', '.join(persistent) or 'none'}")
        if persistent[name].never_restore:
            raise _none(
                f"the files of volume {name!r} must not go back in time: its manifest says neverRestore"
            )
    kept_out = tuple(name for name, one in persistent.items() if one.never_restore)
    wanted = [name for name in persistent if name not in kept_out and (not only or name in only)]
    if not wanted:
        why = "all are of neverRestore" if persistent else "the pod has no persistent volume"
        raise NothingToBackUp(f"nothing to back up: {why}", rule="no-backup")
    ordinals = tuple(range(manifest.claims_each)) if manifest.spec.workload == "stateful" else (None,)
    return Sources(tuple(_source(manifest, name, container) for name in wanted), ordinals, kept_out)


def _source(manifest: PodManifest, volume: str, container: str | None) -> VolumeSource:
    running = [*manifest.spec.containers, *manifest.spec.sidecars]
    if container is not None and container not in {one.name for one in running}:
        raise _none(f"no container {container!r} runs in the pod")
    for one in running:
        path = _whole_mount(one, volume)
        if path is not None and container in {None, one.name}:
            return VolumeSource(volume, one.name, path)
    text = f"volume {volume!r} is mounted whole in no container" + (f" {container!r}" if container else "")
    raise _none(text, "mount it without subPath, read only if you like, in a container with tar")


def _whole_mount(container: Container, volume: str) -> str | None:
    for mount in container.volume_mounts:
        if mount.name == volume and mount.sub_path is None:
            return mount.mount_path
    return None


NOT_RESTORED = (f"{OWN_PREFIX}*", "lost+found")
"""Of a volume's top: our own marks, and what a file system puts there. A tar that cannot leave them out may
bring them; a restore drops them.
"""


def reading(source: VolumeSource) -> list[str]:
    """The command that writes the whole volume as a tar stream, in words that every tar knows."""
    return ["tar", "-C", source.path, "-cf", "-", "."]


def reading_without(source: VolumeSource, exclude: Sequence[str]) -> list[str]:
    """The same without *exclude*, patterns of paths below its top; busybox's tar takes no such words."""
    left_out = [f"./{path.removeprefix('./')}" for path in (*NOT_RESTORED, *exclude)]
    return ["tar", "-C", source.path, "-cf", "-", *(f"--exclude={one}" for one in left_out), "."]


def _none(what: str, hint: str | None = None) -> Refused:
    return Refused(what, rule="no-backup", hint=hint)
