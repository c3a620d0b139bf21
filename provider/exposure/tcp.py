# SPDX-License-Identifier: Apache-2.0
"""`expose: tcp`: the facade passes bytes that nobody reads, at a port of the provider's for each service."""

from dataclasses import dataclass

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.exposure.exposure import ExposedPod, FacadeExposure, Site
from trustedpods.provider.exposure.service_keys import key_of


@dataclass(frozen=True, slots=True)
class TcpExposure(FacadeExposure):
    """A service that is told from others by its port alone."""

    def urls(self, site: Site, port: int | None) -> list[str]:
        """The pod's host at the service's port, once it has one."""
        return [] if port is None else [f"tcp://{site.host}:{port}"]


def expose(service: Service, pod: ExposedPod) -> TcpExposure:
    """The service at a port that the facade gives."""
    port = service.ports[0]
    return TcpExposure(
        service=service.name,
        expose=service.expose,
        label=key_of(pod.label, service.name),
        protocol=service.protocol,
        port=port.target,
        service_port=port.port,
        limits=service.limits,
        affinity=service.known_by,
    )
