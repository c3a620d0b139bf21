# SPDX-License-Identifier: Apache-2.0
"""`expose: loadBalancer`: an address for the service alone, which the cluster's own controller gives."""

from dataclasses import dataclass

from trustedpods.manifests.spec.service import Service
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.exposure.exposure import ExposedPod, Exposure, Site


@dataclass(frozen=True, slots=True)
class BalancedExposure(Exposure):
    """A service that has its own `ports`, numbers by protocol, at an address of its own."""

    ports: tuple[tuple[str, int], ...]

    def endpoints(self, site: Site, given: ServiceExposure) -> list[tuple[int, str]]:
        """Each port at each address or host name that the service was given."""
        return [
            (port, f"{protocol.lower()}://{address}:{port}")
            for address in given.addresses
            for protocol, port in self.ports
        ]


def expose(service: Service, _pod: ExposedPod) -> BalancedExposure:
    """The service at an address that others give; a replica sees its callers' own addresses."""
    ports = tuple((port.protocol, port.port) for port in service.ports)
    return BalancedExposure(service.name, service.expose, ports)
