# SPDX-License-Identifier: Apache-2.0
"""What it means that a service is exposed: values that every strategy makes, and what it makes them from."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

from trustedpods.manifests.spec.service import Service, ServiceLimits
from trustedpods.protocol.messages.provider import ServiceProtocol
from trustedpods.provider.core.pod import ServiceExposure


@dataclass(frozen=True, slots=True)
class ExposedPod:
    """The pod whose service is exposed: its label, the provider's domain, and all its services."""

    label: str
    domain: str
    services: Sequence[Service]

    @property
    def host(self) -> str:
        """The pod's own host name."""
        return f"{self.label}.{self.domain}"


@dataclass(frozen=True, slots=True)
class Site:
    """How this provider is reached from outside.

    The suffixes follow a host in a URL, as `:8080` does; `https_suffix` is None where TLS is not served.
    `node` is the address of its nodes, None where the pod's own host leads to them.
    """

    host: str
    url_suffix: str
    https_suffix: str | None
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Exposure:
    """How one service of a pod is reached; `expose` is the manifest's word for it."""

    service: str
    expose: str

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """The service's ports, and where each is reached; *given* is what others made for it."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FacadeExposure(Exposure):
    """A service whose connections go through the facade: they wake the pod, are counted and limited.

    `label` is its key at the facade, `port` the container's, `service_port` the manifest's. `routes`
    are hosts, or hosts and paths; a service of tcp has none. `own_hosts` are those of the publisher,
    `tls_secret` the secret volume with their certificate, `affinity` what clients are known by where each
    keeps its replica (`ip`, `header:NAME`, `cookie:NAME`).
    """

    label: str
    protocol: ServiceProtocol
    port: int
    service_port: int
    limits: ServiceLimits
    routes: tuple[str, ...] = ()
    own_hosts: tuple[str, ...] = ()
    https_only: bool = False
    tls_secret: str | None = None
    affinity: str | None = None

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """Its one port, at each of its addresses."""
        return [(self.service_port, url) for url in self.urls(site, given.port)]

    def urls(self, site: Site, port: int | None) -> list[str]:
        """Where the service is reached; *port* is one that it has for itself, None while it has none."""
        raise NotImplementedError

    def without(self, hosts: Collection[str]) -> Self:
        """The same service, not reached under these *hosts*; its certificate stays."""
        kept = tuple(route for route in self.routes if route.partition("/")[0] not in hosts)
        return replace(self, routes=kept)


@dataclass(frozen=True, slots=True)
class NodeExposure(Exposure):
    """A service that the cluster's nodes serve by themselves, at ports that the cluster gave it."""

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """Each port at the node's, once it has one; the URL says what it carries."""
        host = site.node or site.host
        return [(one.port, f"{one.protocol.lower()}://{host}:{one.node_port}") for one in given.node_ports]
