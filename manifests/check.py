# SPDX-License-Identifier: Apache-2.0
"""References inside a manifest: what one part names, another part must have.

Run by the client for its user, and again by the provider, who trusts no client.
"""

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trustedpods.manifests.model import Container, PodManifest, Volume, VolumeMount
from trustedpods.manifests.problem import Location, Problem
from trustedpods.protocol.limits import KIB, MAX_SECRET

TLS_FILES = ("tls.crt", "tls.key")
"""Certificate chain and key, in PEM, as in a Kubernetes secret of type kubernetes.io/tls."""

MAX_VARIABLE = 128 * KIB
"""Bytes of one environment variable with its name and its end: Linux starts no program with a longer one
(MAX_ARG_STRLEN in linux/binfmts.h)."""


MAX_HOSTS = 16
"""Hosts of a pod's own: each is proven by DNS, and all are named in the question for admission."""

MAX_ROUTES = 32
"""Hosts, or hosts and paths, that lead to a pod: each is told twice, as http and https, in what its provider
signs, which holds 64."""

MAX_ROUTE = 400
"""Characters of a host and a path together: a URL has 512, with its scheme and a provider's suffix."""

SECRETS_TOO_LARGE = f"the files of all secrets are larger than {MAX_SECRET // KIB} KiB"


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
    yield from _mount_paths((*at, "volumeMounts"), container.volume_mounts)
    yield from _sub_paths((*at, "volumeMounts"), container.volume_mounts, volumes)
    for index, variable in enumerate(container.env):
        if variable.value_from is not None:
            reference = variable.value_from.secret_key_ref
            location: Location = (*at, "env", index, "valueFrom", "secretKeyRef")
            yield from _secret_key(location, reference.name, reference.key, volumes)


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
            text = f"secret {mount.name!r} has no file {mount.sub_path!r}{_known(files)}"
            yield Problem((*at, index, "subPath"), text)


def secret_problems(manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]]) -> Iterator[Problem]:
    """What of *secrets*, files by volume and key, Kubernetes does not keep or gives no program."""
    total = sum(len(content) for files in secrets.values() for content in files.values())
    if total > MAX_SECRET:
        yield Problem(("spec", "volumes"), SECRETS_TOO_LARGE)
    parts = [("containers", manifest.spec.containers), ("initContainers", manifest.spec.init_containers)]
    for field, containers in parts:
        for index, container in enumerate(containers):
            for number, variable in enumerate(container.env):
                reference = variable.value_from.secret_key_ref if variable.value_from else None
                value = secrets.get(reference.name, {}).get(reference.key) if reference else None
                if value is not None:
                    at: Location = ("spec", field, index, "env", number, "valueFrom", "secretKeyRef", "key")
                    yield from _as_variable(at, variable.name, value)


def _as_variable(at: Location, name: str, value: bytes) -> Iterator[Problem]:
    remedy = "mount the secret as a file instead"
    if len(name) + len(value) + 2 > MAX_VARIABLE:
        yield Problem(at, f"{len(value)} bytes are too long for an environment variable: {remedy}")
    if b"\0" in value:
        yield Problem(at, f"the file holds a NUL, which no environment variable can: {remedy}")
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        yield Problem(at, f"the file is not UTF-8 text, as an environment variable is: {remedy}")


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
    yield from _bounds(manifest)
    yield from _routes(manifest)
    yield from _certificates(manifest)


def _bounds(manifest: PodManifest) -> Iterator[Problem]:
    """What the services have together is within what travels of them."""
    at: Location = ("spec", "services")
    hosts = {host for service in manifest.spec.services for host in service.hosts}
    if len(hosts) > MAX_HOSTS:
        yield Problem(at, f"{len(hosts)} hosts of your own; a pod has up to {MAX_HOSTS}")
    routes = [(1 + len(one.hosts)) * max(1, len(one.paths)) for one in manifest.exposed_services]
    if sum(routes) > MAX_ROUTES:
        text = f"hosts and paths make {sum(routes)} routes, the pod's own host counted; at most {MAX_ROUTES}"
        yield Problem(at, text)
    for index, service in enumerate(manifest.spec.services):
        longest = max(map(len, service.hosts), default=0) + max(map(len, service.paths), default=0)
        if longest > MAX_ROUTE:
            yield Problem(
                (*at, index), f"host and path have {longest} characters, at most {MAX_ROUTE} together"
            )


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
    if manifest.spec.scale.min == 0 and not any(service.wakes for service in manifest.spec.services):
        text = "nothing wakes this pod: give it a service with expose: http or tcp, or set scale.min to 1"
        yield Problem(("spec", "scale", "min"), text)
    if manifest.spec.scale.max > 1 and manifest.volume_mib:
        text = "a persistent volume serves one replica at a time: set max to 1, or do without the volume"
        yield Problem(("spec", "scale", "max"), text)


def _known(names: Iterable[object]) -> str:
    listed = ", ".join(sorted(str(name) for name in names))
    return f" (there is: {listed})" if listed else ""
