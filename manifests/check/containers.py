# SPDX-License-Identifier: Apache-2.0
"""What a container names: volumes at paths, files of secrets."""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from trustedpods.manifests.check.names import known
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.container import Container, VolumeMount
from trustedpods.manifests.spec.environment import ORDINAL, EnvFrom
from trustedpods.manifests.spec.part import ENV_NAME
from trustedpods.manifests.spec.volume import Volume


def container_problems(at: Location, container: Container, volumes: dict[str, Volume]) -> Iterator[Problem]:
    """What *container*, a part at *at*, names wrongly; *volumes* by their names."""
    for index, mount in enumerate(container.volume_mounts):
        if mount.name not in volumes:
            text = f"no volume is named {mount.name!r}{known(volumes)}"
            yield Problem((*at, "volumeMounts", index, "name"), text)
    yield from _mount_paths((*at, "volumeMounts"), container.volume_mounts)
    yield from _sub_paths((*at, "volumeMounts"), container.volume_mounts, volumes)
    for index, variable in enumerate(container.env):
        if variable.value_from is not None and variable.value_from.secret_key_ref is not None:
            reference = variable.value_from.secret_key_ref
            location: Location = (*at, "env", index, "valueFrom", "secretKeyRef")
            yield from _secret_key(location, reference.name, reference.key, volumes)
    for index, source in enumerate(container.env_from):
        yield from _whole_secret((*at, "envFrom", index), source, volumes)


def ordinal_problems(at: Location, container: Container) -> Iterator[Problem]:
    """A replica without a number cannot be told it: Kubernetes would give it an empty text."""
    for index, variable in enumerate(container.env):
        field = variable.value_from.field_ref if variable.value_from else None
        if field is not None and field.field_path == ORDINAL:
            location: Location = (*at, "env", index, "valueFrom", "fieldRef", "fieldPath")
            yield Problem(location, "only replicas of `workload: stateful` have a number")


def _whole_secret(at: Location, source: EnvFrom, volumes: dict[str, Volume]) -> Iterator[Problem]:
    """A secret whose files can all be variables: Kubernetes leaves the others out and says nothing."""
    volume = volumes.get(source.secret_ref.name)
    if volume is None or volume.secret is None:
        secrets = [v.name for v in volumes.values() if v.secret]
        text = f"no secret volume is named {source.secret_ref.name!r}{known(secrets)}"
        yield Problem((*at, "secretRef", "name"), text)
        return
    for file in volume.secret.files:
        if re.fullmatch(ENV_NAME, source.prefix + file) is None:
            text = f"the file {file!r} makes no name of a variable: {source.prefix + file!r}; set a prefix"
            yield Problem((*at, "prefix"), text)


def _mount_paths(at: Location, mounts: Sequence[VolumeMount]) -> Iterator[Problem]:
    """Each path once, however it is spelled, and none that the runtime needs for itself."""
    spelled = [posixpath.normpath("/" + mount.mount_path.lstrip("/")) for mount in mounts]
    paths = Counter(spelled)
    for index, path in enumerate(spelled):
        if paths[path] > 1:
            yield Problem((*at, index, "mountPath"), "two volumes are mounted at one path")
        if path in {"/", "/proc"} or path.startswith("/proc/"):
            yield Problem((*at, index, "mountPath"), f"no container starts with a volume at {path}")


def _sub_paths(at: Location, mounts: Sequence[VolumeMount], volumes: dict[str, Volume]) -> Iterator[Problem]:
    """One file of a secret is one that the secret has."""
    for index, mount in enumerate(mounts):
        volume = volumes.get(mount.name)
        files = volume.secret.files if volume is not None and volume.secret is not None else None
        if files is not None and mount.sub_path not in (None, *files):
            text = f"secret {mount.name!r} has no file {mount.sub_path!r}{known(files)}"
            yield Problem((*at, index, "subPath"), text)


def _secret_key(at: Location, name: str, key: str, volumes: dict[str, Volume]) -> Iterator[Problem]:
    volume = volumes.get(name)
    if volume is None or volume.secret is None:
        secrets = [v.name for v in volumes.values() if v.secret]
        yield Problem((*at, "name"), f"no secret volume is named {name!r}{known(secrets)}")
    elif key not in volume.secret.files:
        yield Problem((*at, "key"), f"secret {name!r} has no file {key!r}{known(volume.secret.files)}")
