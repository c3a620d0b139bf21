# SPDX-License-Identifier: Apache-2.0
"""What services name: ports, hosts, paths, certificates."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from trustedpods.manifests.check.names import known
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.service import ServicePort
from trustedpods.manifests.spec.volume import Volume

TLS_FILES = ("tls.crt", "tls.key")
"""Certificate chain and key, in PEM, as in a Kubernetes secret of type kubernetes.io/tls."""

MAX_HOSTS = 16
"""Hosts of a pod's own: each is proven by DNS, and all are named in the question for admission."""

MAX_ROUTES = 32
"""Hosts, or hosts and paths, that lead to a pod: each is told twice, as http and https, in what its provider
signs, which holds 64."""

_OF_REPLICAS = re.compile(r"pod(-[0-9]+)?")
"""Names of replicas, and of the Services that lead to a single one."""

MAX_ROUTE = 400
"""Characters of a host and a path together: a URL has 512, with its scheme and a provider's suffix."""


def service_problems(manifest: PodManifest) -> Iterator[Problem]:
    """What does not fit in the services of *manifest*."""
    declared = {(p.container_port, p.protocol) for c in manifest.spec.running_containers for p in c.ports}
    tunnel = manifest.spec.network.tunnel
    link = None if tunnel is None else tunnel.service
    hosts: Counter[str] = Counter()
    for index, service in enumerate(manifest.spec.services):
        for port_index, port in enumerate(service.ports):
            listed = (port.target, port.protocol) in declared or service.name == link  # no container listens
            if declared and not listed:
                location = ("spec", "services", index, "ports", port_index)
                yield Problem(location, _unlisted(port, declared))
        whole = not service.paths and service.expose != "ingress"
        for host_index, host in enumerate(service.hosts):
            hosts[host] += whole
            if hosts[host] == 2 and whole:
                yield Problem(("spec", "services", index, "hosts", host_index), f"{host} is listed twice")
    yield from _names(manifest)
    yield from _bounds(manifest)
    yield from _routes(manifest)
    yield from _certificates(manifest)


def _unlisted(port: ServicePort, declared: Iterable[tuple[int, str]]) -> str:
    """The protocol is named where it is not TCP, as in a Service."""
    spelled = [f"{number}" if protocol == "TCP" else f"{number}/{protocol}" for number, protocol in declared]
    target = f"{port.target}" if port.protocol == "TCP" else f"{port.target}/{port.protocol}"
    return f"no container lists port {target}{known(spelled)}"


def _names(manifest: PodManifest) -> Iterator[Problem]:
    """Each service becomes a Service of its name, beside those by which replicas find each other."""
    for index, service in enumerate(manifest.spec.services):
        at: Location = ("spec", "services", index, "name")
        if not service.name[0].isalpha():
            yield Problem(at, "the name of a service begins with a letter, as in Kubernetes")
        if _OF_REPLICAS.fullmatch(service.name):
            yield Problem(at, f"the name {service.name!r} is kept for replicas: give the service another")


def _bounds(manifest: PodManifest) -> Iterator[Problem]:
    """What the services have together is within what travels of them."""
    at: Location = ("spec", "services")
    hosts = {host for service in manifest.spec.services for host in service.hosts}
    if len(hosts) > MAX_HOSTS:
        yield Problem(at, f"{len(hosts)} hosts of your own; a pod has up to {MAX_HOSTS}")
    routes = [(1 + len(one.hosts)) * max(1, len(one.paths)) for one in manifest.facade_services]
    routes += [
        len(one.hosts) * len(one.ingress.routes) + 1  # and the controller's address
        for one in manifest.spec.services
        if one.ingress is not None
    ]
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
    """A secret volume with both files, which are what they are when they are checked."""
    if volume is None or volume.secret is None:
        yield Problem(at, "no secret volume has this name")
    elif changing := set(TLS_FILES).intersection(volume.secret.rendered):
        yield Problem(at, f"{min(changing)!r} of a certificate cannot be rendered: write it as it is")
    elif missing := set(TLS_FILES) - volume.secret.files.keys():
        yield Problem(at, f"the secret has no file {min(missing)!r}{known(volume.secret.files)}")
