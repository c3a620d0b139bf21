# SPDX-License-Identifier: Apache-2.0
"""References inside a manifest: what one part names, another part must have.

Run by the client for its user, and again by the provider, who trusts no client.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trustedpods.manifests.model import Container, PodManifest, Volume

TLS_FILES = ("tls.crt", "tls.key")
"""Certificate chain and key, in PEM, as in a Kubernetes secret of type kubernetes.io/tls."""

Location = tuple[str | int, ...]
"""Path to a field, as in pydantic's errors: ("spec", "containers", 0, "image")."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where."""

    location: Location
    text: str


def problems(manifest: PodManifest) -> Iterator[Problem]:
    """Everything that does not fit together; empty for a sound manifest."""
    spec = manifest.spec
    yield from _repeated(("spec", "containers"), [c.name for c in spec.containers])
    first, rest = [c.name for c in spec.init_containers], {c.name for c in spec.containers}
    yield from _repeated(("spec", "initContainers"), first)
    for index, name in enumerate(first):
        if name in rest:
            yield Problem(("spec", "initContainers", index, "name"), f"the name {name!r} is used twice")
    yield from _repeated(("spec", "volumes"), [v.name for v in spec.volumes])
    yield from _repeated(("spec", "services"), [s.name for s in spec.services])
    volumes = {volume.name: volume for volume in spec.volumes}
    for index, container in enumerate(spec.containers):
        yield from _container(("spec", "containers", index), container, volumes)
    for index, container in enumerate(spec.init_containers):
        yield from _container(("spec", "initContainers", index), container, volumes)
    yield from _services(manifest)
    yield from _scale(manifest)


def _repeated(location: Location, names: Sequence[str]) -> Iterator[Problem]:
    seen: Counter[str] = Counter()
    for index, name in enumerate(names):
        seen[name] += 1
        if seen[name] == 2:
            yield Problem((*location, index, "name"), f"the name {name!r} is used twice")


def _container(at: Location, container: Container, volumes: dict[str, Volume]) -> Iterator[Problem]:
    for index, mount in enumerate(container.volume_mounts):
        if mount.name not in volumes:
            text = f"no volume is named {mount.name!r}{_known(volumes)}"
            yield Problem((*at, "volumeMounts", index, "name"), text)
    paths = Counter(mount.mount_path for mount in container.volume_mounts)
    for index, mount in enumerate(container.volume_mounts):
        if paths[mount.mount_path] > 1:
            yield Problem((*at, "volumeMounts", index, "mountPath"), "two volumes are mounted at one path")
    for index, variable in enumerate(container.env):
        if variable.value_from is not None:
            reference = variable.value_from.secret_key_ref
            location: Location = (*at, "env", index, "valueFrom", "secretKeyRef")
            yield from _secret_key(location, reference.name, reference.key, volumes)


def _secret_key(at: Location, name: str, key: str, volumes: dict[str, Volume]) -> Iterator[Problem]:
    volume = volumes.get(name)
    if volume is None or volume.secret is None:
        secrets = [v.name for v in volumes.values() if v.secret]
        yield Problem((*at, "name"), f"no secret volume is named {name!r}{_known(secrets)}")
    elif key not in volume.secret.files:
        yield Problem((*at, "key"), f"secret {name!r} has no file {key!r}{_known(volume.secret.files)}")


def _services(manifest: PodManifest) -> Iterator[Problem]:
    declared = {p.container_port for c in manifest.spec.containers for p in c.ports}
    hosts: Counter[str] = Counter()
    for index, service in enumerate(manifest.spec.services):
        for port_index, port in enumerate(service.ports):
            if declared and port.target not in declared:
                location = ("spec", "services", index, "ports", port_index)
                yield Problem(location, f"no container lists port {port.target}{_known(declared)}")
        for host_index, host in enumerate(service.hosts):
            hosts[host] += not service.paths
            if hosts[host] == 2 and not service.paths:
                yield Problem(("spec", "services", index, "hosts", host_index), f"{host} is listed twice")
    if not manifest.exposed_services:
        text = "a pod of workload http has a service with expose: http or tcp; nothing else wakes it"
        yield Problem(("spec", "services"), text)
    yield from _routes(manifest)
    yield from _certificates(manifest)


def _routes(manifest: PodManifest) -> Iterator[Problem]:
    """Services that share a host are told apart by their paths."""
    places: Counter[tuple[str, str]] = Counter()
    for index, service in enumerate(manifest.spec.services):
        for path_index, path in enumerate(service.paths):
            for host in ("", *service.hosts):
                places[host, path] += 1
                if places[host, path] == 2:
                    location: Location = ("spec", "services", index, "paths", path_index)
                    yield Problem(location, f"the path {path} leads to two services")


def _certificates(manifest: PodManifest) -> Iterator[Problem]:
    volumes = {volume.name: volume for volume in manifest.spec.volumes}
    for index, service in enumerate(manifest.spec.services):
        if service.tls is not None:
            at: Location = ("spec", "services", index, "tls")
            if not service.hosts:
                yield Problem(at, "a certificate of your own serves hosts of your own: list them in `hosts`")
            yield from _certificate((*at, "secretName"), volumes.get(service.tls.secret_name))


def _certificate(at: Location, volume: Volume | None) -> Iterator[Problem]:
    """A secret volume with both files."""
    if volume is None or volume.secret is None:
        yield Problem(at, "no secret volume has this name")
    elif missing := set(TLS_FILES) - volume.secret.files.keys():
        yield Problem(at, f"the secret has no file {min(missing)!r}{_known(volume.secret.files)}")


def _scale(manifest: PodManifest) -> Iterator[Problem]:
    if manifest.spec.scale.max > 1 and manifest.volume_mib:
        text = "a persistent volume serves one replica at a time: set max to 1, or do without the volume"
        yield Problem(("spec", "scale", "max"), text)


def _known(names: Iterable[object]) -> str:
    listed = ", ".join(sorted(str(name) for name in names))
    return f" (there is: {listed})" if listed else ""
