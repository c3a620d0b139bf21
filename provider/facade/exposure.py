# SPDX-License-Identifier: Apache-2.0
"""From a manifest's services to what the facade publishes: slots' protocols, routes, limits. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.manifests.model import PodManifest
from trustedpods.manifests.service import Service
from trustedpods.protocol.units import MIB
from trustedpods.provider.facade.pools import SlotProtocol
from trustedpods.provider.facade.slots import UNLIMITED, SlotLimits


@dataclass(frozen=True, slots=True)
class Exposure:
    """One exposed service of a pod.

    `label` is its key at the facade, `port` the container's, `service_port` the manifest's. `routes`
    are hosts, or hosts and paths; a service of tcp has none. `own_hosts` are those of the publisher,
    `tls_secret` the secret volume with their certificate.
    """

    service: str
    label: str
    protocol: SlotProtocol
    port: int
    service_port: int
    routes: tuple[str, ...] = ()
    own_hosts: tuple[str, ...] = ()
    limits: SlotLimits = UNLIMITED
    https_only: bool = False
    tls_secret: str | None = None


def exposures(manifest: PodManifest, pod: str, domain: str, most: SlotLimits) -> tuple[Exposure, ...]:
    """Everything of a pod that the facade serves, in the manifest's order.

    *pod* is the pod's host label. Its host leads to the first service of http without paths, and to
    those with paths below them; each further service has a host of its own, SERVICE-LABEL.
    """
    found = []
    first = True
    for service in manifest.exposed_services:
        name = pod
        if service.expose == "http" and not service.paths:
            name, first = (pod if first else f"{service.name}-{pod}"), False
        found.append(_exposure(service, pod, f"{name}.{domain}", most))
    return tuple(found)


def key_of(pod: str, service: str) -> str:
    """A service's key at the facade."""
    return f"{pod}.{service}"


def pod_of(key: str) -> str:
    """The pod of such a key."""
    return key.partition(".")[0]


def service_of(key: str) -> str:
    """The service of such a key."""
    return key.partition(".")[2]


def by_pod(labels: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Slots by services' keys, sorted into pods."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for key, slot in labels.items():
        found[pod_of(key)][key] = slot
    return dict(found)


def _exposure(service: Service, pod: str, host: str, most: SlotLimits) -> Exposure:
    port = service.ports[0]
    protocol = SlotProtocol(service.protocol)
    hosts = () if protocol is SlotProtocol.TCP else (host, *service.hosts)
    size = service.limits.body_size
    body = None if size is None else size * MIB
    wanted = SlotLimits(
        service.limits.connections,
        service.limits.requests_per_second,
        body,
        body,
    )
    return Exposure(
        service=service.name,
        label=key_of(pod, service.name),
        protocol=protocol,
        port=port.target,
        service_port=port.port,
        routes=tuple(f"{name}{path}" for name in hosts for path in service.paths or ("",)),
        own_hosts=tuple(service.hosts),
        limits=wanted.within(most),
        https_only=service.https_only,
        tls_secret=service.tls.secret_name if service.tls else None,
    )
