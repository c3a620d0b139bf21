# SPDX-License-Identifier: Apache-2.0
"""What fills new volumes with the publisher's files before anything else of a replica starts. Pure.

For each seeded volume a first init container, of the provider's own image, copies from a Secret that no
other container mounts; or it waits until the publisher has brought a backup by commands in it. It runs as the
user of the first container that mounts the volume, and has that one's limits, so a seed makes no replica
larger.
"""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trustedpods.manifests.check.seeds import (
    FILLED,
    FILLING_PROGRAM,
    SEEDED,
    SEEDING,
    Seeds,
    filling_container,
)
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import Volume
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.workload import stateful_set
from trustedpods.provider.cluster.objects.workload.container_template import confined, no_cluster, resources

READABLE = 0o440
"""Of the files in the Secret's volume: root's, and readable by the group of the pod's volumes."""

ALL = "all"
"""The folder of files that are every replica's; those of one lie in a folder of its name."""

FROM = "/seed"

_USER = re.compile(r"\+?([0-9]+)(?::\+?([0-9]+))?", re.ASCII)


def copying(program: str, source: str, target: str) -> str:
    """The shell's text that copies what is in *source* into *target*, once.

    Killed at any place it is run again, and copies again until the last mark is there: until then no
    container of the publisher's has seen the volume. One without a mark that has files is somebody's work
    already, and stays as it is.
    """
    return f"""{_unless_filled(program, target)}
cd {source}
{program} find . -mindepth 1 -type d -exec {program} mkdir -p {target}/{{}} ';'
{program} find . -type f | while read -r file; do {program} cat "$file" > "{target}/$file"; done
cd {target}
{program} sync -f .
{program} mv {SEEDING} {SEEDED}
{program} sync -f .
"""


def awaiting(program: str, target: str) -> str:
    """The shell's text that waits until *target* has the mark that a restore writes last."""
    return f"""{_unless_filled(program, target)}
trap 'exit 143' TERM
echo 'the volume waits for its backup: trustedpods restore'
while [ ! -e {SEEDED} ]; do {program} sleep 1; done
"""


def _unless_filled(program: str, target: str) -> str:
    return f"""
set -eu
umask 077
cd {target}
[ ! -e {SEEDED} ] || exit 0
if [ ! -e {SEEDING} ]; then
  if {program} ls -A | {program} grep -qvx lost+found; then
    echo 'the volume has files: nothing is copied over them'
    exit 0
  fi
  : > {SEEDING}
fi"""


@dataclass(frozen=True, slots=True)
class Copier:
    """The copying image as the node pulls it, and whom each container's image runs as (`USER`)."""

    image: str
    users: Mapping[str, str]


def seed_secrets(manifest: PodManifest, seeds: Seeds) -> list[KubeObject]:
    """A Secret for each seeded volume; no volume is called as they are, since their names have no dot."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _secret_name(volume)},
            "type": "Opaque",
            "data": {
                key: b64encode(seeds[volume.name, ordinal][path]).decode()
                for key, ordinal, path in _files(volume, seeds)
            },
        }
        for volume in _copied(manifest)
    ]


def add_seeds(spec: dict[str, Any], manifest: PodManifest, seeds: Seeds, copier: Copier) -> None:
    """Put the copying before all else of a template's *spec*."""
    spec["initContainers"] = [*_containers(manifest, copier), *spec.get("initContainers", [])]
    spec["volumes"] = [*spec.get("volumes", []), *_volumes(manifest, seeds)]


def _volumes(manifest: PodManifest, seeds: Seeds) -> list[dict[str, Any]]:
    """Volumes of the template that only the copying containers mount."""
    return [
        {
            "name": filling_container(manifest, volume),
            "secret": {
                "secretName": _secret_name(volume),
                "defaultMode": READABLE,
                "items": [
                    {"key": key, "path": f"{_folder(ordinal)}/{path}"}
                    for key, ordinal, path in _files(volume, seeds)
                ],
            },
        }
        for volume in _copied(manifest)
    ]


def _containers(manifest: PodManifest, copier: Copier) -> list[dict[str, Any]]:
    """The init containers that copy, one for each seeded volume."""
    return [_container(manifest, volume, copier) for volume in _seeded(manifest)]


def _container(manifest: PodManifest, volume: Volume, copier: Copier) -> dict[str, Any]:
    assert volume.seed is not None
    name = filling_container(manifest, volume)
    whose = next(
        part
        for part in manifest.spec.all_containers
        if volume.name in {mount.name for mount in part.volume_mounts}
    )
    own = {"subPathExpr": "$(REPLICA)"} if volume.seed.by_ordinal else {"subPath": ALL}
    text = awaiting(FILLING_PROGRAM, FILLED) if volume.seed.backup else copying(FILLING_PROGRAM, FROM, FILLED)
    source = [] if volume.seed.backup else [{"name": name, "mountPath": FROM, "readOnly": True, **own}]
    return {
        "name": name,
        "image": copier.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [FILLING_PROGRAM, "sh", "-c", text],
        "env": [
            {
                "name": "REPLICA",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
            },
            *no_cluster(),
        ],
        "resources": resources(whose.resources.limits),
        "securityContext": {**confined(read_only=True), **_user(whose, copier)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": volume.name, "mountPath": FILLED}, *source],
    }


def _user(whose: Container, copier: Copier) -> dict[str, int]:
    """User and group, as the manifest has them, else as the image."""
    wanted = whose.security_context
    if wanted.user is not None:
        group = {} if wanted.run_as_group is None else {"runAsGroup": wanted.run_as_group}
        return {"runAsUser": wanted.user, **group}
    found = _USER.fullmatch(copier.users[whose.name])
    assert found is not None, "an image without a number for its user is not let in"
    group = {} if found[2] is None else {"runAsGroup": int(found[2])}
    return {"runAsUser": int(found[1]), **group}


def _seeded(manifest: PodManifest) -> list[Volume]:
    return [volume for volume in manifest.spec.volumes if volume.seed is not None]


def _copied(manifest: PodManifest) -> list[Volume]:
    """Those whose files came with the bundle."""
    return [volume for volume in _seeded(manifest) if volume.seed is not None and not volume.seed.backup]


def _files(volume: Volume, seeds: Seeds) -> Iterator[tuple[str, int | None, str]]:
    """Keys in the Secret, which has no folders, with the replica's number and the path."""
    for (name, ordinal), files in seeds.items():
        if name == volume.name:
            for number, path in enumerate(sorted(files)):
                yield f"{_folder(ordinal)}.{number}", ordinal, path


def _folder(ordinal: int | None) -> str:
    return ALL if ordinal is None else stateful_set.replica_name(ordinal)


def _secret_name(volume: Volume) -> str:
    return f"seed.{volume.name}"
